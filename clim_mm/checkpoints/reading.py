"""From a file to the dictionary it holds, without running anything the file brings."""

import os
import os.path as osp
import pickle
import re
import zipfile
from functools import partial
from typing import Any, Union

import torch

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, DamagedCheckpoint, StorageError, on_one_line
from clim_mm.storage import is_there, patiently

from .atomic_write import kind_of
from .plain_data import NotDataError, only_plain_data, rebuilt

_ARCHIVE = b'PK\x03\x04'  # with which a file of torch.save begins since torch 1.6


def read_checkpoint(path: Union[str, os.PathLike], map_location: Any = 'cpu') -> dict:
    """Read a checkpoint of MMEngine's Runner, or weights alone.

    Args:
        path: Of a file that ``torch.save`` has written, in today's format, whose checksums are compared (torch itself
            reads altered tensors without a word), or in the one before torch 1.6.
        map_location: As for ``torch.load``.

    Raises:
        DamagedCheckpoint: If the file is empty, cut off, altered or no checkpoint at all.
        CheckpointError: If there is no such file, or it needs something that is not data.
        StorageError: If the disk or the network fails for a minute.
    """
    path = osp.expanduser(os.fspath(path))
    if not is_there(path):
        raise CheckpointError(f'There is no checkpoint {path}: give the path of a file that a training has written.')
    if not osp.isfile(path):
        raise CheckpointError(f'{path} is a {kind_of(path)}, not a checkpoint: give the path of a file.')
    is_sound = False
    try:
        is_sound = patiently(partial(_check_archive, path), path)
        with only_plain_data():
            load = partial(torch.load, path, map_location=map_location, weights_only=True)
            loaded = rebuilt(patiently(load, path))
    except StorageError:
        raise
    except Exception as error:  # a damaged file ends in errors of every kind
        raise _refusal(path, error, is_sound) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f'{path} holds a {type(loaded).__name__}, not a dictionary of weights: give a checkpoint '
                              'of a training, or a state_dict.')
    return loaded


def _check_archive(path: str) -> bool:
    """Compare an archive's checksums; False for a file that is none."""
    with open(path, 'rb') as file:
        if file.read(len(_ARCHIVE)) != _ARCHIVE:
            return False
        with zipfile.ZipFile(file) as archive:
            if altered := archive.testzip():
                raise zipfile.BadZipFile(f'{altered} has another CRC')
    return True


def _refusal(path: str, error: Exception, is_sound: bool) -> CheckpointError:
    """What is said of a file that could not be loaded, although its checksums are right if it ``is_sound``."""
    words = on_one_line(error)
    words = words.partition('WeightsUnpickler error: ')[2] or words
    words = re.split(r'\. | Check the', words)[0][:120] or type(error).__name__
    if remedy := remedy_for(error):
        return CheckpointError(f'The checkpoint {path} cannot be loaded ({words}){remedy}.')
    name = re.search(r'GLOBAL ([\w.]+)', str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if name or isinstance(error, NotDataError):
        return CheckpointError(f'The checkpoint {path} needs {name[1] if name else error}, which is not plain data and '
                               'could run code: save the weights anew without it, or, if you trust it, allow it by '
                               'torch.serialization.add_safe_globals.')
    if is_sound and isinstance(error, pickle.UnpicklingError):
        return CheckpointError(f'The checkpoint {path} cannot be loaded ({words}): save it anew by torch.save.')
    return DamagedCheckpoint(f'The checkpoint {path} is cut off or damaged ({words}), or is none: take the one '
                             f'before it in {osp.dirname(path) or "."}, as --resume without a file does.')
