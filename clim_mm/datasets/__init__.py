"""Which images there are, and what happens to them until they are a batch."""

from .image_folders import ClassFolder, ImageFolder
from .image_lists import ImageList, LabelSplit
from .image_samples import ImageSamples, NeighborPairs
from .quarantine import Quarantine
from .sample_randomness import SampleRandomness
from .single_views import NoView, SingleViews, collate_views, stack_collate
from .source import balanced_split, labels_of
from .transforms import CutMix, LoadImage, MixUp, MultiRes, PackPair, PairViews

__all__ = [
    'ClassFolder', 'CutMix', 'ImageFolder', 'ImageList', 'ImageSamples', 'LabelSplit', 'LoadImage', 'MixUp', 'MultiRes',
    'NeighborPairs', 'NoView', 'PackPair', 'PairViews', 'Quarantine', 'SampleRandomness', 'SingleViews',
    'balanced_split', 'collate_views', 'labels_of', 'stack_collate'
]
