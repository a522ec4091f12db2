"""From two files on disk to a mixed query and its keys, in the order of a pipeline:

    PairViews (LoadImage, MultiRes) -> CutMix or MixUp -> PackPair
"""

from .center_view import CenterView
from .color_jitter import ColorJitter
from .cutmix import CutMix
from .load_image import LoadImage
from .mixing import Mixing
from .mixup import MixUp
from .multi_res import MultiRes
from .pack_pair import PackPair
from .pair_views import PairViews
from .random_flip import RandomFlip
from .random_gaussian_blur import RandomGaussianBlur
from .random_grayscale import RandomGrayscale

__all__ = [
    'CenterView', 'ColorJitter', 'CutMix', 'LoadImage', 'MixUp', 'Mixing', 'MultiRes', 'PackPair', 'PairViews',
    'RandomFlip', 'RandomGaussianBlur', 'RandomGrayscale'
]
