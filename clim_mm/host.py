"""MMSelfSup's version gate, and the one place that deals with it.

MMSelfSup 1.0.0 and MMClassification 1.0.0rc6 assert ``mmcv < 2.1`` when they are imported. Those mmcv
releases do not compile against torch >= 2.1, while the two packages' code runs on today's mmcv: their own
tests pass there. The bound is checked at import only, so it is answered at import only. Nothing is imported before it
is needed: a detector trains without the two, and a pretraining without MMDetection, scikit-learn and transformers.
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional

import mmcv

from .deferred_imports import DEFERRED, with_deferred
from .errors import MissingDependencyError

_GATED = ('mmcls', 'mmselfsup')
_LAST_ADMITTED_MMCV = '2.0.1'

# mmcv without compiled operators warns when MMSelfSup's models are imported; none of them needs the operators.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


class _Gate(MetaPathFinder):
    """Finds what it is asked for as Python does, and changes how it is executed.

    While one of the two packages is, mmcv reports the last admitted version. Modules of ``DEFERRED`` do not import
    what few trainings need.
    """

    def find_spec(self, name: str, path: Any = None, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """The spec of one of the two packages or of a module of ``DEFERRED``; None for all others.

        Raises:
            MissingDependencyError: If it is not installed, with the command that installs it.
        """
        if name not in _GATED and name not in DEFERRED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None:
            raise MissingDependencyError(f'{name} is missing: `pip install -r requirements/runtime.txt` installs the '
                                         'host framework with its versions.')
        if spec.loader is not None:
            # A loader belongs to its spec, so that no other package's is changed.
            execute = _admitted if name in _GATED else with_deferred
            spec.loader.exec_module = partial(execute, spec.loader.exec_module)  # type: ignore
        return spec


def _admitted(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    installed = mmcv.__version__
    mmcv.__version__ = _LAST_ADMITTED_MMCV
    try:
        execute(module)
    finally:
        mmcv.__version__ = installed


def open_gate() -> None:
    """From now on mmcls and mmselfsup can be imported beside today's mmcv."""
    if not any(isinstance(finder, _Gate) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Gate())
