"""The one door to MMSelfSup and MMClassification: what is taken from the two, and what it is needed for.

``from clim_mm.host import MoCo`` imports the module that has it, and no other. Configs name further parts by their
scope, as in ``mmselfsup.ResNet``; ``register_models`` lets them.
"""

from importlib import import_module
from typing import Any

_HOME = {
    # Models.
    'MoCo': 'mmselfsup.models.algorithms',  # the baseline
    'ResNet': 'mmselfsup.models.backbones',  # rebuilt by an export, to compare the exported one with
    'SelfSupDataPreprocessor': 'mmselfsup.models.utils',  # the base of the preprocessor of named views
    'SelfSupDataSample': 'mmselfsup.structures',  # what carries ids and targets of a batch
    'batch_shuffle_ddp': 'mmselfsup.utils',  # shuffled batch normalisation of the keys
    'batch_unshuffle_ddp': 'mmselfsup.utils',
    'concat_all_gather': 'mmselfsup.utils',  # the keys of all processes
    'HOST_MODELS': 'mmselfsup.registry',  # by which an export builds a backbone from a config
    # Data.
    'ColorJitter': 'mmselfsup.datasets.transforms',  # bases of the transforms by OpenCV, which make the same draws
    'RandomGaussianBlur': 'mmselfsup.datasets.transforms',
    'RandomResizedCrop': 'mmselfsup.datasets.transforms',  # the crop of a view of several resolutions
    'PackSelfSupInputs': 'mmselfsup.datasets.transforms',  # the base of the packing of pairs
    'CustomDataset': 'mmcls.datasets',  # the base of image lists and class folders
    'ImageNet': 'mmcls.datasets',
}
_NAME_THERE = {'HOST_MODELS': 'MODELS'}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_HOME[name]), _NAME_THERE.get(name, name))


def register_models() -> None:
    """Import MMSelfSup's models, so that configs can name its backbones and necks."""
    import_module('mmselfsup.models')
