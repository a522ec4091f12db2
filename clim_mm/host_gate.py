"""How MMSelfSup and MMClassification are imported: beside today's mmcv, and without what few trainings need.

MMSelfSup 1.0.0 and MMClassification 1.0.0rc6 assert ``mmcv < 2.1`` when they are imported. Those mmcv releases do not
compile against torch >= 2.1, while the two packages' code runs on today's mmcv: their own tests pass there. The bound
is checked at import only, so it is answered at import only.
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

from clim_mm.errors import MissingDependencyError

_GATED = ('mmcls', 'mmselfsup')
_LAST_ADMITTED_MMCV = '2.0.1'
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
    """Finds what it is asked for as Python does, and changes how it is executed."""

    def find_spec(self, name: str, path: Any = None, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """The spec of one of the two packages or of a module of ``DEFERRED``; None for all others."""
        if name not in _GATED and name not in DEFERRED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            raise MissingDependencyError(f'{name} is missing: `pip install -r requirements/runtime.txt` installs the '
                                         'host framework with its versions.')
        if spec.loader is not None:
            # A loader belongs to its spec, so that no other package's is changed.
            execute = _beside_old_mmcv if name in _GATED else with_deferred
            spec.loader.exec_module = partial(execute, spec.loader.exec_module)  # type: ignore
        return spec


def open_gate() -> None:
    """From now on mmcls and mmselfsup can be imported beside today's mmcv."""
    if not any(isinstance(finder, _Gate) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Gate())


def with_deferred(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Execute a module of ``DEFERRED`` with a stand-in for its library, unless that has been imported."""
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
