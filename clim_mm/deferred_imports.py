"""Libraries that the host framework imports for a part that few trainings have; each costs seconds of every start.

``exec`` takes a module's builtins from its globals, and ``import`` takes ``__import__`` from the builtins. So the
import statements of one module can be answered in their own way, while all others see the libraries as they are.
"""

import builtins
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any, Optional

# By module: the library, and the one function or class that the module takes from it. None leaves the library out: the
# module copes with its absence.
DEFERRED: dict[str, tuple[str, Optional[str]]] = {
    'mmengine.optim.optimizer.builder': ('transformers', 'Adafactor'),  # registered as an optimizer
    'mmselfsup.models.memories.odc_memory': ('sklearn.cluster', 'KMeans'),  # of ODC
    'mmselfsup.models.utils.res_layer_extra_norm': ('mmdet', None),  # a layer for detectors
}


def with_deferred(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Execute a module of ``DEFERRED`` without its library, unless that has been imported.

    Args:
        execute: Executes a module.
        module: The one that is being imported.
    """
    library, attribute = DEFERRED[module.__name__]

    def import_(name: str, *args: Any) -> Any:
        root = library.partition('.')[0]
        if name.partition('.')[0] != root or root in sys.modules or find_spec(root) is None:
            return builtins.__import__(name, *args)
        if attribute is None:
            raise ImportError(f'{name} is left out', name=name)
        return SimpleNamespace(**{attribute: _made_when_called(library, attribute)})

    module.__dict__['__builtins__'] = dict(vars(builtins), __import__=import_)
    execute(module)


def _made_when_called(library: str, attribute: str) -> Callable[..., Any]:
    def make(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(library), attribute)(*args, **kwargs)

    make.__name__ = make.__qualname__ = attribute
    make.__doc__ = f'{library}\'s, which is imported when it is called.'
    return make
