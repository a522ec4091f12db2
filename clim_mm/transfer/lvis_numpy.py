"""The package lvis beside today's numpy.

Its last release, 0.5.3, calls the built-in ``float`` by ``np.float``, a name that numpy has dropped in 1.24 (mended
behind that release: lvis-dataset/lvis-api#42). Its one module that does so is given a numpy that knows the name; numpy
itself stays as it is.
"""

from types import ModuleType
from typing import Any

import numpy as np


class _NumpyWithFloat(ModuleType):
    float = float

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def let_lvis_run() -> None:
    """Mend ``lvis.eval``, where lvis is installed and numpy lacks the name."""
    try:
        import lvis.eval
    except ImportError:
        return
    if not hasattr(np, 'float'):
        lvis.eval.np = _NumpyWithFloat('numpy')
