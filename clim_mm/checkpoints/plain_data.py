"""What a checkpoint may hold beside tensors and Python's own values, and how that is made again.

``torch.load(weights_only=True)`` calls what the allow-list names with arguments out of the file. MMEngine's own list
names ``getattr``, which its ``HistoryBuffer`` is saved with, and by which a file can reach ``exec``; numpy's list lets
a file describe an array's memory. So no name leads to the real thing here: each leads to a part of this module that
keeps data, and ``rebuilt`` makes the real thing of it.
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
    """A file asks for something that is not data. Its text names it."""


class SavedDtype:
    """Stands for ``numpy.dtype``: a type of numbers or strings."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not _PLAIN_CODE.fullmatch(code):
            raise NotDataError(f'numpy.dtype({code!r})')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])

    def build(self) -> np.dtype:
        """The type."""
        return self.dtype


class SavedArray:
    """Stands for ``numpy.ndarray`` and for the function that makes one: the bytes of numbers or strings."""

    def __init__(self, *args: Any) -> None:
        self.array = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, SavedDtype) or not isinstance(data, bytes):
            raise NotDataError('a numpy.ndarray of objects')
        order: Any = 'F' if is_fortran else 'C'
        self.array = np.frombuffer(data, dtype.dtype).reshape(shape, order=order).copy(order)

    def build(self) -> np.ndarray:
        """The array, with memory of its own."""
        return self.array


class SavedHistory:
    """Stands for MMEngine's ``HistoryBuffer``: two arrays and their longest length."""

    def __setstate__(self, state: dict) -> None:
        self.state = state

    def build(self) -> HistoryBuffer:
        """The buffer, made by its constructor."""
        logs, counts = self.state['_log_history'].build(), self.state['_count_history'].build()
        return HistoryBuffer(logs, counts, self.state['max_length'])


class SavedArguments:
    """Stands for ``argparse.Namespace``, the arguments that DINO, timm and others save beside their weights."""

    state: Optional[dict] = None

    def __setstate__(self, state: dict) -> None:
        if type(state) is not dict:
            raise NotDataError('an argparse.Namespace of no dictionary')
        self.state = state


class SavedOneCycle:
    """Stands for MMEngine's ``OneCycleParamScheduler``, whose state names one of two curves."""


def saved_scalar(dtype: SavedDtype, data: bytes) -> np.generic:
    """Stands for the function that makes a numpy scalar."""
    if not isinstance(dtype, SavedDtype) or not isinstance(data, bytes):
        raise NotDataError('a numpy scalar of objects')
    return np.frombuffer(data, dtype.dtype)[0]


def saved_attribute(owner: Any, name: Any) -> Any:
    """Stands for ``getattr``: the functions that MMEngine saves by name, and nothing else."""
    if owner is SavedHistory:
        return None  # its statistics, which the class has anyhow
    if owner is SavedOneCycle and isinstance(vars(OneCycleParamScheduler).get(name), staticmethod):
        return getattr(OneCycleParamScheduler, name)
    raise NotDataError('builtins.getattr')


def saved_bytes() -> bytes:
    """Stands for ``bytes`` without content; others are saved otherwise."""
    return b''


def saved_config(items: dict) -> ConfigDict:
    """Stands for MMEngine's ``ConfigDict``, which a dataset's ``metainfo`` may be made of."""
    if type(items) is not dict:
        raise NotDataError('a ConfigDict of no dictionary')
    return ConfigDict(items)


def saved_path(*parts: str) -> str:
    """Stands for pathlib's paths, which are among the arguments of many a training: as a string."""
    if not all(type(part) is str for part in parts):
        raise NotDataError('a path of other parts than strings')
    return osp.join('', *parts)


# As torch.serialization takes them: what is called, and the name in the file that leads to it.
ALLOWED: list[Any] = [
    (SavedHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (SavedArguments, 'argparse.Namespace'),
    (SavedOneCycle, 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'),
    (saved_attribute, 'builtins.getattr'),
    (saved_bytes, 'builtins.bytes'),
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
    """While this lasts, ``torch.load(weights_only=True)`` knows the names of ``ALLOWED``.

    What the user has allowed by ``torch.serialization.add_safe_globals`` stays allowed, except under these names.
    """
    before = get_safe_globals()
    names = {name for _, name in ALLOWED}
    clear_safe_globals()
    add_safe_globals([entry for entry in before if name_of(entry) not in names] + ALLOWED)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


def rebuilt(value: Any, done: Optional[dict[int, tuple[Any, Any]]] = None) -> Any:
    """``value`` with the real thing wherever a part of this module stands for it.

    Args:
        value: What ``torch.load`` has given under ``only_plain_data``; its dictionaries and lists are changed in place.
        done: What is rebuilt already, for values that occur in several places: by id, the value and its result.

    Raises:
        NotDataError: If a class or a function itself is saved, and not what it makes.
    """
    done = {} if done is None else done
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, SavedArguments):  # as a dictionary
        arguments = value.state or {}
        done[id(value)] = value, arguments
        return rebuilt(arguments, done)
    if isinstance(value, dict):
        done[id(value)] = value, value
        for key in value:
            value[key] = rebuilt(value[key], done)
        return value
    if isinstance(value, list):
        done[id(value)] = value, value
        value[:] = [rebuilt(item, done) for item in value]
        return value
    if type(value) is tuple:
        result: Any = tuple(rebuilt(item, done) for item in value)
    elif isinstance(value, (SavedArray, SavedDtype, SavedHistory)):
        result = value.build()
    else:
        for part, name in ALLOWED:
            if value is part:
                raise NotDataError(name)
        return value
    done[id(value)] = value, result  # the value too: while it lives, its id is its own
    return result


def name_of(entry: Any) -> str:
    """The name that an entry of torch's allow-list answers to."""
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'
