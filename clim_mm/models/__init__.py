"""The models: algorithms, their heads, and the parts that they are made of."""

from clim_mm.host import register_models

from .algorithms.clim import CLIM
from .algorithms.moco import MoCo
from .heads.mixed_contrastive_head import MixedContrastiveHead
from .parts.view_preprocessor import DeviceViews, ViewPreprocessor

register_models()

__all__ = ['CLIM', 'DeviceViews', 'MixedContrastiveHead', 'MoCo', 'ViewPreprocessor']
