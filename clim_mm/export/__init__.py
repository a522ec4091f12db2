"""Weights that leave the framework: from a checkpoint of a pretraining to the files of other libraries."""

from clim_mm.checkpoints.weights import weights_sha256

from .checkpoint_export import Exported, export
from .formats import FORMATS
from .header import read_header
from .libraries import library_of
from .plain_resnet import DEPTHS

__all__ = ['DEPTHS', 'FORMATS', 'Exported', 'export', 'library_of', 'read_header', 'weights_sha256']
