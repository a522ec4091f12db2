"""The algorithm and its head."""

# Their registration under scope mmselfsup lets configs name its backbones and necks.
import mmselfsup.models  # noqa: F401

from .clim import CLIM
from .device_views import DeviceViews
from .mixed_contrastive_head import MixedContrastiveHead

__all__ = ['CLIM', 'DeviceViews', 'MixedContrastiveHead']
