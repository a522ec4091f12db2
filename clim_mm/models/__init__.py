"""The models: algorithms, their heads, and the parts that they are made of."""

# Their registration under scope mmselfsup lets configs name its backbones and necks.
import mmselfsup.models  # noqa: F401

from .algorithms.clim import CLIM
from .algorithms.moco import MoCo
from .heads.mixed_contrastive_head import MixedContrastiveHead
from .parts.view_preprocessor import DeviceViews, ViewPreprocessor

__all__ = ['CLIM', 'DeviceViews', 'MixedContrastiveHead', 'MoCo', 'ViewPreprocessor']
