"""MMSelfSup's version gate, and the one place that deals with it.

MMSelfSup 1.0.0 and MMClassification 1.0.0rc6 assert ``mmcv < 2.1`` when they are imported. Those mmcv
releases do not compile against torch >= 2.1, while the two packages' code runs on today's mmcv: their own
tests pass there. The bound is checked at import only, so it is answered at import only. Nothing is imported before it
is needed: a detector trains without the two, and a pretraining without MMDetection.
"""

import sys
import warnings
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional

import mmcv

from .errors import MissingDependencyError

_GATED = ('mmcls', 'mmselfsup')
# A layer for detectors, left out where MMDetection is missing. Where it is installed, all of it would be imported.
_FOR_DETECTORS = 'mmselfsup.models.utils.res_layer_extra_norm'
_LAST_ADMITTED_MMCV = '2.0.1'

# mmcv without compiled operators warns when MMSelfSup's models are imported; none of them needs the operators.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


class _Gate(MetaPathFinder):
    """Finds the two packages as Python does, and lets mmcv report the last admitted version while one is executed.

    MMSelfSup's part for detectors is executed as if MMDetection were missing, unless that has been imported.
    """

    def find_spec(self, name: str, path: Any = None, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """The spec of one of the two packages or of the part for detectors; None for all others.

        Raises:
            MissingDependencyError: If it is not installed, with the command that installs it.
        """
        if name not in (*_GATED, _FOR_DETECTORS):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            raise MissingDependencyError(f'{name} is missing: `pip install -r requirements/runtime.txt` installs the '
                                         'host framework with its versions.')
        if spec.loader is not None:
            # A loader belongs to its spec, so that no other package's is changed.
            around = _without_mmdet if name == _FOR_DETECTORS else _admitted
            spec.loader.exec_module = around(spec.loader.exec_module)  # type: ignore
        return spec


def _admitted(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def execute_admitted(module: ModuleType) -> None:
        installed = mmcv.__version__
        mmcv.__version__ = _LAST_ADMITTED_MMCV
        try:
            execute(module)
        finally:
            mmcv.__version__ = installed

    return execute_admitted


def _without_mmdet(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def execute_without(module: ModuleType) -> None:
        if 'mmdet' in sys.modules:
            return execute(module)
        sys.modules['mmdet'] = None  # type: ignore  # importing it is an ImportError now
        try:
            execute(module)
        finally:
            del sys.modules['mmdet']

    return execute_without


def open_gate() -> None:
    """From now on mmcls and mmselfsup can be imported beside today's mmcv."""
    if not any(isinstance(finder, _Gate) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Gate())
