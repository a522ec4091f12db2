"""Files that are there as a whole or not at all, whenever the process is killed."""

import errno
import os
import os.path as osp
from contextlib import suppress
from typing import Union

from clim_mm.causes import remedy_for
from clim_mm.errors import CheckpointError


def write_atomically(path: Union[str, os.PathLike], data: bytes) -> None:
    """Write a file, which takes the place of one before it only when it is complete and on the disk.

    Args:
        path: Of the file. Its folder is made if it is not there; a link stays a link.
        data: All that the file shall hold.

    Raises:
        CheckpointError: If it cannot be written. What was there before is still there then.
    """
    target = osp.realpath(path)
    try:
        os.makedirs(osp.dirname(target), exist_ok=True)
        _replace(target, data)
    except OSError as error:
        raise CheckpointError(f'Cannot write {os.fspath(path)} ({error.strerror}){remedy_for(error)}; what was written '
                              'before is untouched.') from error


def _replace(path: str, data: bytes) -> None:
    folder, name = osp.split(path)
    # Always the same name, so that what a killed process has left goes with the next attempt.
    unfinished = osp.join(folder, f'.{name}.unfinished')
    try:
        with open(unfinished, 'wb') as file:
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
