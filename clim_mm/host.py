"""The one door to MMSelfSup and MMClassification: what is taken from the two, what for, and how they are imported.

``from clim_mm.host import MoCo`` imports the module that has it, and no other. Configs name further parts by their
scope, as in ``mmselfsup.ResNet``; ``register_models`` lets them.

MMSelfSup 1.0.0 and MMClassification 1.0.0rc6 assert ``mmcv < 2.1`` when they are imported. Those mmcv releases do not
compile against torch >= 2.1, while the two packages' own tests pass on today's mmcv. ``open_gate`` answers the check.
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any, Optional

import mmcv

_HOME = {
    # Models.
    'MoCo': 'mmselfsup.models.algorithms',  # the baseline
    'ResNet': 'mmselfsup.models.backbones',  # rebuilt by an export, to compare the exported one with
    'SelfSupDataPreprocessor': 'mmselfsup.models.utils',  # the base of the preprocessor of named views
    'SelfSupDataSample': 'mmselfsup.structures',  # what carries ids and targets of a batch
    'ImageClassifier': 'mmcls.models',  # the base of the probe at several depths
    'LinearClsHead': 'mmcls.models',  # its classifiers
    'ClsDataSample': 'mmcls.structures',  # their predictions
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


_GATED, _LAST_ADMITTED_MMCV = ('mmcls', 'mmselfsup'), '2.0.1'
# By module: a library that costs seconds of every start, and the one function or class that the module takes from it.
# None leaves the library out: the module copes with its absence.
DEFERRED: dict[str, tuple[str, Optional[str]]] = {
    'mmengine.optim.optimizer.builder': ('transformers', 'Adafactor'),  # registered as an optimizer
    'mmselfsup.models.memories.odc_memory': ('sklearn.cluster', 'KMeans'),  # of ODC
    'mmselfsup.models.utils.res_layer_extra_norm': ('mmdet', None),  # a layer for detectors
}

# mmcv without compiled operators warns when MMSelfSup's models are imported; none of them needs the operators.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


class _Gate(MetaPathFinder):
    """Finds the two packages and the modules of ``DEFERRED`` as Python does, and changes how they are executed."""

    def find_spec(self, name: str, path: Any = None, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        execute = _beside_old_mmcv if name in _GATED else with_deferred if name in DEFERRED else None
        spec = PathFinder.find_spec(name, path, target) if execute else None
        if execute and spec and spec.loader:
            # A loader belongs to its spec, so that no other package's is changed.
            spec.loader.exec_module = partial(execute, spec.loader.exec_module)  # type: ignore
        return spec


def open_gate() -> None:
    """From now on mmcls and mmselfsup can be imported beside today's mmcv."""
    if not any(isinstance(finder, _Gate) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Gate())


def with_deferred(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Execute a module of ``DEFERRED`` with a stand-in for its library, unless that is imported already or missing."""
    library, attribute = DEFERRED[module.__name__]
    root = library.partition('.')[0]
    if root in sys.modules or find_spec(root) is None:
        return execute(module)
    sys.modules[library] = None if attribute is None else SimpleNamespace(  # type: ignore[assignment]
        **{attribute: lambda *args, **kwargs: getattr(import_module(library), attribute)(*args, **kwargs)})
    try:
        execute(module)
    finally:
        del sys.modules[library]


def _beside_old_mmcv(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    installed = mmcv.__version__
    mmcv.__version__ = _LAST_ADMITTED_MMCV
    try:
        execute(module)
    finally:
        mmcv.__version__ = installed
