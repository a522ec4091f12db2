"""Files that are there as a whole or not at all, whenever the process is killed."""

import hashlib
import os
import os.path as osp
import re
import secrets
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, StorageError
from clim_mm.storage import patiently, try_lock


def write_atomically(path: Union[str, os.PathLike], data: bytes) -> None:
    """Write a file, which takes the place of one before it only when it is complete and on the disk.

    Args:
        path: Its folder is made if it is not there; a link stays a link.

    Raises:
        CheckpointError: If it cannot be written. What was there before is still there then.
        StorageError: The same, if the disk or the network fails for a minute.
    """
    target = osp.realpath(path)
    try:
        patiently(partial(os.makedirs, osp.dirname(target), exist_ok=True), target)
        patiently(partial(_replace, target, data), target)
    except StorageError:
        raise
    except OSError as error:
        raise CheckpointError(f'Cannot write {os.fspath(path)} ({error.strerror}){remedy(error, target)}; what was '
                              'written before is untouched.') from error


@register_backend('clim_mm.atomic')
class AtomicBackend(LocalBackend):
    """MMEngine's local disk, written to by ``write_atomically``.

    ``CheckpointHook(backend_args=dict(backend='clim_mm.atomic'))`` writes checkpoints so.
    """

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes to a file."""
        write_atomically(filepath, obj)


def remedy(error: OSError, path: str) -> str:
    """What helps where a file of a run cannot be written, to be put behind the words of the error."""
    if osp.lexists(path) and not osp.isfile(path):
        return ': move what is there away'
    return remedy_for(error) or ': choose another place (--work-dir, --out)'


def remove_abandoned(folder: str, name: str = r'.+') -> None:
    """Remove what killed writers of a folder's files have left behind, of files whose ``name`` matches."""
    pattern = re.compile(rf'\.({name})\.([0-9a-f]{{8}}\.)?unfinished')
    with suppress(OSError):
        for left in filter(pattern.fullmatch, os.listdir(folder)):
            # A living writer holds a lock; an empty file may be that of one that is about to take it.
            with suppress(OSError), open(osp.join(folder, left), 'r+b') as file:
                if os.fstat(file.fileno()).st_size and try_lock(file.fileno()):
                    os.remove(file.name)


def file_sha256(path: Union[str, os.PathLike]) -> str:
    """SHA-256 of a file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _replace(path: str, data: bytes) -> None:
    folder, name = osp.split(path)
    remove_abandoned(folder, re.escape(name))
    unfinished = osp.join(folder, f'.{name}.{secrets.token_hex(4)}.unfinished')  # there may be several writers
    try:
        with open(unfinished, 'xb') as file:
            try_lock(file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.remove(unfinished)
        raise
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some file systems cannot
        os.fsync(descriptor)  # the name
    os.close(descriptor)
