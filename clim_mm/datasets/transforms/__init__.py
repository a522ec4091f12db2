"""From two files on disk to a mixed query and its keys, in the order of a pipeline:

    PairViews (LoadImage, MultiRes) -> CutMix or MixUp -> PackPair
"""

from .crops import CenterView, MultiRes
from .load_image import LoadImage
from .mixing import CutMix, Mixing, MixUp
from .pairs import PackPair, PairViews
from .photometric import ColorJitter, RandomFlip, RandomGaussianBlur, RandomGrayscale

__all__ = [
    'CenterView', 'ColorJitter', 'CutMix', 'LoadImage', 'MixUp', 'Mixing', 'MultiRes', 'PackPair', 'PairViews',
    'RandomFlip', 'RandomGaussianBlur', 'RandomGrayscale'
]
