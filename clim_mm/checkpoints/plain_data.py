"""What a checkpoint may hold beside tensors and Python's own values.

``torch.load(weights_only=True)`` calls what its allow-list names with arguments from the file. MMEngine's list has
``getattr``, by which a file reaches ``exec``, and numpy's types, whose ``__setstate__`` lets a file describe memory. So
these names lead to stand-ins here that only keep data, from which ``rebuilt`` makes the real objects.
"""

import os.path as osp
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

_PLAIN_CODE = re.compile(r'[biufcSU]\d+')  # numbers and strings: not objects, records or dates


class NotDataError(Exception):
    """A file asks for something that is not data, which the text names."""


class Saved:
    """Stands for a class of the allow-list, and keeps what ``real`` is made of."""

    real: Any = None

    def __init__(self, *args: Any) -> None:
        pass


class SavedDtype(Saved):
    """Stands for ``numpy.dtype``."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not _PLAIN_CODE.fullmatch(code):
            raise NotDataError(f'numpy.dtype({code!r})')
        self.real = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        self.real = self.real.newbyteorder(state[1])


class SavedArray(Saved):
    """Stands for ``numpy.ndarray`` and its ``_reconstruct``."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        order: Any = 'F' if is_fortran else 'C'
        self.real = np.frombuffer(data, dtype.real).reshape(shape, order=order).copy(order)


class SavedHistory(Saved):
    """Stands for MMEngine's ``HistoryBuffer``, without the statistics of the file, which would change all buffers."""

    def __setstate__(self, state: dict) -> None:
        self.real = HistoryBuffer(state['_log_history'].real, state['_count_history'].real, state['max_length'])


class SavedArguments(Saved):
    """Stands for ``argparse.Namespace``, which DINO, timm and others save beside their weights: a dictionary."""

    def __setstate__(self, state: dict) -> None:
        self.real = state


class SavedOneCycle(Saved):
    """Stands for MMEngine's ``OneCycleParamScheduler``, whose state names one of its curves."""


def saved_scalar(dtype: SavedDtype, data: bytes) -> np.generic:
    """Stands for the function that makes a numpy scalar."""
    return np.frombuffer(data, dtype.real)[0]


def saved_attribute(owner: Any, name: Any) -> Any:
    """Stands for ``getattr``, by which MMEngine saves statistics of histories and the curves of OneCycle schedules."""
    if owner is SavedHistory:
        return None
    if owner is SavedOneCycle and isinstance(vars(OneCycleParamScheduler).get(name), staticmethod):
        return getattr(OneCycleParamScheduler, name)
    raise NotDataError('builtins.getattr')


def saved_path(*parts: str) -> str:
    """Stands for pathlib's paths: a string."""
    return osp.join('', *parts)


def saved_config(items: dict) -> ConfigDict:
    """Stands for MMEngine's ``ConfigDict``."""
    return ConfigDict(dict(items))


# As torch.serialization takes them: what is called, and the name in the file that leads to it.
ALLOWED: list[Any] = [
    (SavedHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (SavedArguments, 'argparse.Namespace'),
    (SavedOneCycle, 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'),
    (saved_attribute, 'builtins.getattr'),
    (bytes, 'builtins.bytes'),
    (saved_config, 'mmengine.config.config.ConfigDict'),
    *((saved_path, f'{module}.{kind}Path') for module in ('pathlib', 'pathlib._local')  # before Python 3.13, and in it
      for kind in ('Posix', 'Windows', 'PurePosix', 'PureWindows')),
    (SavedArray, 'numpy.ndarray'),
    (SavedDtype, 'numpy.dtype'),
    *((part, f'numpy.{core}.multiarray.{name}') for core in ('core', '_core')  # numpy 1 and numpy 2
      for part, name in [(SavedArray, '_reconstruct'), (saved_scalar, 'scalar')]),
]


@contextmanager
def only_plain_data() -> Iterator[None]:
    """While this lasts, ``torch.load(weights_only=True)`` knows ``ALLOWED``, and what the user has allowed besides."""
    before, names = get_safe_globals(), {name for _, name in ALLOWED}
    clear_safe_globals()
    add_safe_globals([entry for entry in before if _name_of(entry) not in names] + ALLOWED)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


def rebuilt(value: Any, done: Optional[dict[int, tuple[Any, Any]]] = None) -> Any:
    """``value`` with the real objects in place of their stand-ins; its dictionaries and lists are changed in place.

    Args:
        done: By id, values rebuilt already and their results, since a value may occur in several places.
    """
    done = {} if done is None else done
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, Saved):
        result: Any = rebuilt(value.real, done)
    elif type(value) is tuple:
        result = tuple(rebuilt(item, done) for item in value)
    elif isinstance(value, (dict, list)):
        done[id(value)] = value, value
        for key in value if isinstance(value, dict) else range(len(value)):
            value[key] = rebuilt(value[key], done)
        return value
    else:
        return value
    done[id(value)] = value, result  # the value too: while it lives, its id is its own
    return result


def _name_of(entry: Any) -> str:
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'
