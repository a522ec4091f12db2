"""The models: algorithms, their heads, and the parts that they are made of."""

from clim_mm.host import register_models

from .algorithms.byol import BYOL
from .algorithms.c2bin import C2BIN
from .algorithms.clim import CLIM
from .algorithms.depth_probe import DepthProbe
from .algorithms.hsa import HSA
from .algorithms.moco import MoCo
from .heads.cluster_contrast_head import ClusterContrastHead
from .heads.depth_heads import DepthHeads
from .heads.mixed_contrastive_head import MixedContrastiveHead
from .heads.multi_positive_head import MultiPositiveHead
from .parts.view_preprocessor import DeviceViews, ViewPreprocessor

register_models()

__all__ = ['BYOL', 'C2BIN', 'CLIM', 'HSA', 'ClusterContrastHead', 'DepthHeads', 'DepthProbe', 'DeviceViews',
           'MixedContrastiveHead', 'MoCo', 'MultiPositiveHead', 'ViewPreprocessor']
