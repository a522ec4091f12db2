"""From a file to the dictionary it holds, without running anything the file brings."""

import os
import os.path as osp
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import IO, Any, Optional, Union

import torch
from torch.serialization import MAGIC_NUMBER

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, DamagedCheckpoint, StorageError, on_one_line
from clim_mm.storage import is_there, is_transient, patiently

from .dry_run import TooMuchError, check_pickle
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
        StorageError: If the disk or the network fails for a minute.
    """
    path = osp.expanduser(os.fspath(path))
    is_archive = patiently(partial(_check_file, path), path)
    try:
        for data in _pickles(path, is_archive):
            check_pickle(data, room=osp.getsize(path))
        with only_plain_data():
            load = partial(torch.load, path, map_location=map_location, weights_only=True)
            loaded = rebuilt(patiently(load, path))
    except StorageError:
        raise
    except TooMuchError as error:
        raise CheckpointError(f'The checkpoint {path} asks for much more memory than its {osp.getsize(path):,} bytes: '
                              'it is damaged, or made to do harm; give another.') from error
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
    if not is_there(path):
        raise CheckpointError(f'There is no checkpoint {path}: give the path of a file that a training has written.')
    if not osp.isfile(path):
        kind = 'folder' if osp.isdir(path) else 'device'
        raise CheckpointError(f'{path} is a {kind}, not a checkpoint: give the path of a file.')
    try:
        with open(path, 'rb') as file:
            start = file.read(len(_OLD))
    except OSError as error:
        if is_transient(error):
            raise
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
            if 'constants.pkl' not in names:
                _check_room(path, archive.infolist())
                for entry in archive.infolist():
                    _check_entry(archive, entry)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged archive ends in errors of every kind
        if is_transient(error):
            raise
        _check_machine(path, error)
        raise _damaged(path, _shortened(error)) from error
    if 'constants.pkl' in names:
        raise CheckpointError(f'{path} is a TorchScript program, which is code: give a file of weights, as torch.save '
                              'writes it.')
    if 'data.pkl' not in names:
        raise DamagedCheckpoint(f'{path} is no checkpoint (it is an archive of other files): give a file that '
                                'torch.save has written.')


def _check_room(path: str, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive that grows when it is opened."""
    with open(path, 'rb') as file:
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED and _local_header(file, entry)[0] == entry.compress_type:
                raise CheckpointError(f'{path} is compressed, which torch.save does to no file: unpack it, and save it '
                                      'anew by torch.save.')
    names = {entry.filename.lower() for entry in entries}
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or len(names) < len(entries) or sum(entry.file_size for entry in entries) > osp.getsize(path):
        raise zipfile.BadZipFile('its entries lie upon each other')


def _local_header(file: IO[bytes], entry: zipfile.ZipInfo) -> tuple[int, int]:
    """How an entry is compressed, as it says itself, and where its bytes begin."""
    file.seek(entry.header_offset)
    kind, *lengths = struct.unpack('<8xH16xHH', file.read(30))
    return kind, entry.header_offset + 30 + sum(lengths)


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    if entry.CRC == 0:  # empty, or saved with torch.serialization.set_crc32_options(False)
        return
    with archive.open(entry) as content:
        while content.read(_BLOCK):
            pass


def _pickles(path: str, is_archive: bool) -> Iterator[bytes]:
    """The pickles of a file, from which its values are made."""
    with open(path, 'rb') as file:
        if is_archive:
            with zipfile.ZipFile(path) as archive:
                found = [entry for entry in archive.infolist() if entry.filename.lower().endswith('data.pkl')]
            for entry in found:  # zipfile would refuse one without a checksum
                file.seek(_local_header(file, entry)[1])
                yield file.read(entry.file_size)
            return
        for _ in range(_OLD_PICKLES):
            if (start := file.tell()) < osp.getsize(path):
                for _ in pickletools.genops(file):  # reads, and runs nothing
                    pass
                length = file.tell() - start
                file.seek(start)
                yield file.read(length)


def _foreign_name(error: Exception) -> Optional[str]:
    """What a pickle wanted that is not admitted, if that is what the error says."""
    if isinstance(error, NotDataError):
        return str(error)
    found = re.search(r'GLOBAL ([\w.]+)', str(error)) if isinstance(error, pickle.UnpicklingError) else None
    return found and found[1]


def _is_damage(error: Exception, is_archive: bool) -> bool:
    """Whether an error in loading that is none of the machine's comes from the file, not from how it was written."""
    if isinstance(error, pickle.UnpicklingError):
        return not is_archive  # an archive's pickle has been compared with its checksum
    return 'deserialize object' not in str(error)


def _is_whole_pickle(path: str) -> bool:
    """Whether a file of the old format goes beyond its pickles; a name at the end of a cut one is cut as well."""
    try:
        return bool(list(_pickles(path, is_archive=False)))
    except Exception:  # as above
        return False


def _damaged(path: str, reason: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(f'The checkpoint {path} is cut off or damaged ({reason}): take the one before it in '
                             f'{osp.dirname(path) or "."}, as --resume without a file does.')


def _shortened(error: Exception) -> str:
    """The first words of an error of torch or zipfile, which can be a page long."""
    text = on_one_line(error)
    text = (text.partition('WeightsUnpickler error: ')[2] or text).partition(' Check the documentation')[0]
    return text[:120] or type(error).__name__
