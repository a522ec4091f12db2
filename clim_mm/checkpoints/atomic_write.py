"""Files that are there as a whole or not at all, whenever the process is killed."""

import errno
import os
import os.path as osp
import re
import secrets
from contextlib import suppress
from functools import partial
from typing import Union

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError, StorageError
from clim_mm.file_lock import try_lock
from clim_mm.storage import patiently

_ANY_NAME = r'.+'


def write_atomically(path: Union[str, os.PathLike], data: bytes) -> None:
    """Write a file, which takes the place of one before it only when it is complete and on the disk.

    Args:
        path: Of the file. Its folder is made if it is not there; a link stays a link.
        data: All that the file shall hold.

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


def remedy(error: OSError, path: str) -> str:
    """What a user can do about a file of a run that cannot be written, with a colon before it, if it is known.

    Args:
        error: Of the attempt.
        path: Of the file.
    """
    if osp.lexists(path) and not osp.isfile(path):
        return f': move that {kind_of(path)} away'
    return remedy_for(error) or ': choose another place (--work-dir, --out)'


def kind_of(path: str) -> str:
    """What something is that is there and no file."""
    return 'folder' if osp.isdir(path) else 'device' if osp.exists(path) else 'link to nothing'


def remove_abandoned(folder: str, name: str = _ANY_NAME) -> None:
    """Remove what writers of a folder's files have left behind that were killed.

    Args:
        folder: It need not be there.
        name: Regular expression of the files' names.
    """
    pattern = re.compile(rf'\.({name})\.([0-9a-f]{{8}}\.)?unfinished')
    with suppress(OSError):
        for left in filter(pattern.fullmatch, os.listdir(folder)):
            # A living writer holds a lock; an empty file may be that of one that is about to take it.
            with suppress(OSError), open(osp.join(folder, left), 'r+b') as file:
                if os.fstat(file.fileno()).st_size and try_lock(file.fileno()):
                    os.remove(file.name)


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
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Put the new name on the disk, too, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
