"""From a file to the dictionary it holds, without running anything the file brings."""

import os
import os.path as osp
import pickle
import pickletools
import re
import zipfile
from typing import Any, Optional, Union

import torch
from torch.serialization import MAGIC_NUMBER

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, DamagedCheckpoint, on_one_line

from .plain_data import NotDataError, only_plain_data, rebuilt

# How a file of torch.save begins, since torch 1.6 and before.
_ARCHIVE, _OLD = b'PK\x03\x04', pickle.dumps(MAGIC_NUMBER, protocol=2)
_OLD_PICKLES = 5  # in a file of the old format, before the bytes of its tensors
_BLOCK = 1 << 20  # bytes


def read_checkpoint(path: Union[str, os.PathLike], map_location: Any = 'cpu') -> dict:
    """Read a checkpoint of MMEngine's Runner, or weights alone.

    Every byte of an archive is checked against its checksum; torch itself reads altered tensors without a word.

    Args:
        path: Of a file that ``torch.save`` has written, in today's format or the one before torch 1.6.
        map_location: As for ``torch.load``.

    Returns:
        What the file holds.

    Raises:
        DamagedCheckpoint: If the file is empty, cut off, altered or no checkpoint at all.
        CheckpointError: If there is no such file, or it needs something that is not data.
    """
    path = osp.expanduser(os.fspath(path))
    is_archive = _check_file(path)
    try:
        with only_plain_data():
            loaded = rebuilt(torch.load(path, map_location=map_location, weights_only=True))
    except Exception as error:  # a damaged pickle ends in errors of every kind
        _check_machine(path, error)
        name = _foreign_name(error)
        if name is not None and (is_archive or _is_whole_pickle(path)):
            raise CheckpointError(f'The checkpoint {path} needs {name}, which is not plain data and could run code: '
                                  'save the weights anew without it, or, if you trust it, allow it by '
                                  'torch.serialization.add_safe_globals.') from error
        if not _is_damage(error, is_archive):
            raise CheckpointError(f'The checkpoint {path} cannot be loaded ({_shortened(error)}): save it anew by '
                                  'torch.save.') from error
        raise _damaged(path, _shortened(error)) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f'{path} holds a {type(loaded).__name__}, not a dictionary of weights: give a checkpoint '
                              'of a training, or a state_dict.')
    return loaded


def _check_file(path: str) -> bool:
    """Refuse what is no whole checkpoint; give whether it is an archive."""
    if not osp.exists(path):
        raise CheckpointError(f'There is no checkpoint {path}: give the path of a file that a training has written.')
    if not osp.isfile(path):
        kind = 'folder' if osp.isdir(path) else 'device'
        raise CheckpointError(f'{path} is a {kind}, not a checkpoint: give the path of a file.')
    try:
        with open(path, 'rb') as file:
            start = file.read(len(_OLD))
    except OSError as error:
        raise CheckpointError(f'Cannot open the checkpoint {path} ({error.strerror}){remedy_for(error)}.') from error
    if start.startswith(_ARCHIVE):
        _check_archive(path)
        return True
    if _ARCHIVE.startswith(start) or _OLD.startswith(start) and start != _OLD:
        raise _damaged(path, f'it ends after {len(start)} bytes')
    if start != _OLD:
        raise DamagedCheckpoint(f'{path} is no checkpoint (it does not begin as torch.save\'s files do): give a file '
                                'that torch.save has written.')
    return False


def _check_machine(path: str, error: Exception) -> None:
    """Let no file pass for damaged that the machine cannot read."""
    if remedy := remedy_for(error):
        raise CheckpointError(f'The checkpoint {path} cannot be loaded ({_shortened(error)}){remedy}.') from error


def _check_archive(path: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition('/')[2] for name in archive.namelist()}
            for entry in archive.infolist():
                _check_entry(archive, entry)
    except Exception as error:  # a damaged archive ends in errors of every kind
        _check_machine(path, error)
        raise _damaged(path, _shortened(error)) from error
    if 'constants.pkl' in names:
        raise CheckpointError(f'{path} is a TorchScript program, which is code: give a file of weights, as torch.save '
                              'writes it.')
    if 'data.pkl' not in names:
        raise DamagedCheckpoint(f'{path} is no checkpoint (it is an archive of other files): give a file that '
                                'torch.save has written.')


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    if entry.CRC == 0:  # empty, or saved with torch.serialization.set_crc32_options(False)
        return
    with archive.open(entry) as content:
        while content.read(_BLOCK):
            pass


def _foreign_name(error: Exception) -> Optional[str]:
    """What a pickle wanted that is not admitted, if that is what the error says."""
    if isinstance(error, NotDataError):
        return str(error)
    found = re.search(r'GLOBAL ([\w.]+)', str(error)) if isinstance(error, pickle.UnpicklingError) else None
    return found and found[1]


def _is_damage(error: Exception, is_archive: bool) -> bool:
    """Whether an error in loading comes from the file, and not from the machine or from how the file was written."""
    if isinstance(error, pickle.UnpicklingError):
        return not is_archive  # an archive's pickle has been compared with its checksum
    machine = re.search('out of memory|allocate memory|deserialize object', str(error))
    return not (machine or isinstance(error, MemoryError))


def _is_whole_pickle(path: str) -> bool:
    """Whether a file of the old format goes beyond its pickles; a name at the end of a cut one is cut as well."""
    size = osp.getsize(path)
    with open(path, 'rb') as file:
        try:
            for _ in range(_OLD_PICKLES):
                if file.tell() < size:
                    for _ in pickletools.genops(file):  # reads, and runs nothing
                        pass
        except Exception:  # as above
            return False
    return True


def _damaged(path: str, reason: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(f'The checkpoint {path} is cut off or damaged ({reason}): take the one before it in '
                             f'{osp.dirname(path) or "."}, as --resume without a file does.')


def _shortened(error: Exception) -> str:
    """The first words of an error of torch or zipfile, which can be a page long."""
    text = on_one_line(error)
    text = (text.partition('WeightsUnpickler error: ')[2] or text).partition(' Check the documentation')[0]
    return text[:120] or type(error).__name__
