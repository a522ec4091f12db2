"""Weights that leave the framework: from a checkpoint of a pretraining to the files of other libraries."""

from clim_mm.checkpoints.weights import weights_sha256

from .checkpoint_export import Exported, export
from .formats import FORMATS, read_header
from .parity import library_of

__all__ = ['FORMATS', 'Exported', 'export', 'library_of', 'read_header', 'weights_sha256']
