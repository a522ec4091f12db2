"""From a file to the dictionary it holds, without running anything the file brings.

``torch.load(weights_only=True)`` calls what its allow-list names with arguments from the file. MMEngine's list has
``getattr``, by which a file reaches ``exec``, and numpy's types, whose ``__setstate__`` lets a file describe memory. So
these names lead to stand-ins here that only keep data, from which ``rebuilt`` makes the real objects.
"""

import os
import os.path as osp
import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Optional, Union

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, DamagedCheckpoint, StorageError, on_one_line
from clim_mm.storage import is_there, patiently

_PLAIN_CODE = re.compile(r'[biufcSU]\d+')  # of a numpy type: numbers and strings, not objects, records or dates


def read_checkpoint(path: Union[str, os.PathLike], map_location: Any = 'cpu') -> dict:
    """Read a checkpoint of MMEngine's Runner, or weights alone; ``map_location`` is as for ``torch.load``.

    Raises:
        DamagedCheckpoint: If the file is empty, cut off, altered or no checkpoint at all.
        CheckpointError: If there is no such file, or it needs something that is not data.
    """
    path = osp.expanduser(os.fspath(path))
    if not is_there(path) or not osp.isfile(path):
        raise CheckpointError(f'There is no checkpoint {path}: give the path of a file that a training has written.')
    try:
        loaded = rebuilt(patiently(partial(_load, path, map_location), path))
    except StorageError:
        raise
    except Exception as error:  # a damaged file ends in errors of every kind
        raise _refusal(path, error) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f'{path} holds no dictionary of weights: give a checkpoint of a training.')
    return loaded


def _load(path: str, map_location: Any) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if altered := archive.testzip():  # torch reads altered tensors without a word
                raise zipfile.BadZipFile(f'{altered} has another CRC')
    with only_plain_data():
        return torch.load(path, map_location=map_location, weights_only=True)


def _refusal(path: str, error: Exception) -> CheckpointError:
    words = on_one_line(error).rpartition('WeightsUnpickler error: ')[2]
    words = re.split(r'\. | Check the', words)[0][:120] or type(error).__name__
    if remedy := remedy_for(error):
        return CheckpointError(f'The checkpoint {path} cannot be loaded ({words}){remedy}.')
    name = re.search(r'GLOBAL ([\w.]+)', str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if name:
        return CheckpointError(f'The checkpoint {path} needs {name[1]}, which is not plain data and could run code: '
                               'save the weights anew without it.')
    return DamagedCheckpoint(f'The checkpoint {path} is cut off or damaged ({words}), or is none: take the one '
                             f'before it in {osp.dirname(path) or "."}, as --resume without a file does.')


class Saved:
    """Stands for a class of the allow-list, and keeps what ``real`` is made of."""

    real: Any = None

    def __init__(self, *args: Any) -> None:
        pass


class SavedDtype(Saved):
    """Stands for ``numpy.dtype``."""

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(code, str) or not _PLAIN_CODE.fullmatch(code):
            raise pickle.UnpicklingError('GLOBAL numpy.dtype')  # as torch names what it does not allow
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


def saved_scalar(dtype: SavedDtype, data: bytes) -> np.generic:
    """Stands for the function that makes a numpy scalar."""
    return np.frombuffer(data, dtype.real)[0]


def saved_attribute(owner: Any, name: Any) -> None:
    """Stands for ``getattr``, by which MMEngine saves functions of its own classes; a resumed run has these itself."""
    if owner not in (SavedHistory, Saved):
        raise pickle.UnpicklingError('GLOBAL builtins.getattr')


# As torch.serialization takes them: what is called, and the name in the file that leads to it.
ALLOWED: list[Any] = [
    (SavedHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (SavedArguments, 'argparse.Namespace'),
    (Saved, 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'),
    (saved_attribute, 'builtins.getattr'),
    (bytes, 'builtins.bytes'),
    (dict, 'mmengine.config.config.ConfigDict'),
    (SavedArray, 'numpy.ndarray'),
    (SavedDtype, 'numpy.dtype'),
    *((part, f'numpy.{core}.multiarray.{name}') for core in ('core', '_core')  # numpy 1 and numpy 2
      for part, name in [(SavedArray, '_reconstruct'), (saved_scalar, 'scalar')]),
]


@contextmanager
def only_plain_data() -> Iterator[None]:
    """While this lasts, ``torch.load(weights_only=True)`` knows ``ALLOWED``, and no other class."""
    before = get_safe_globals()
    clear_safe_globals()
    add_safe_globals(ALLOWED)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


def rebuilt(value: Any, done: Optional[set[int]] = None) -> Any:
    """``value`` with the real objects in place of their stand-ins.

    Args:
        done: Ids of its dictionaries and lists that are changed already: a value may occur in several places.
    """
    done = set() if done is None else done
    if isinstance(value, Saved):
        return rebuilt(value.real, done)
    if type(value) is tuple:
        return tuple(rebuilt(item, done) for item in value)
    if isinstance(value, (dict, list)) and id(value) not in done:
        done.add(id(value))
        for key in value if isinstance(value, dict) else range(len(value)):
            value[key] = rebuilt(value[key], done)
    return value
