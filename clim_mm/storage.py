"""Disks and networks: what they refuse for a moment is asked for again, and locks on files."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from typing import Any, Optional, TypeVar
from urllib.error import HTTPError

from .errors import StorageError, UserError, chain_of, on_one_line, printable

_Answer = TypeVar('_Answer')

PAUSES = (0.1, 0.3, 1.0, 3.0, 6.0, 10.0, 20.0, 20.0)  # seconds, a minute in all [ours]
_TRANSIENT = {getattr(errno, name) for name in (
    'EAGAIN', 'EBUSY', 'ECOMM', 'ECONNABORTED', 'ECONNREFUSED', 'ECONNRESET', 'EHOSTDOWN', 'EHOSTUNREACH', 'EIO',
    'EKEYEXPIRED', 'ENETDOWN', 'ENETRESET', 'ENETUNREACH', 'ENOLINK', 'ENONET', 'ENOTCONN', 'EPIPE', 'EPROTO',
    'EREMOTEIO', 'ESHUTDOWN', 'ESTALE', 'ETIME', 'ETIMEDOUT') if hasattr(errno, name)}  # Linux has all of them
_TEXTS = tuple(os.strerror(number) for number in _TRANSIENT)
_BUSY_SERVER = (408, 425, 429)  # of HTTP, beside those from 500 on


def patiently(ask: Callable[[], _Answer], place: Any, pauses: tuple[float, ...] = ()) -> _Answer:
    """What ``ask()`` gives, if need be at a later try.

    Args:
        place: Path of what is read or written, for the message.
        pauses: Seconds between one try and the next; defaults to ``PAUSES``.

    Raises:
        StorageError: If the storage still fails after the last pause. Whatever else ``ask`` raises comes at once.
    """
    left = list(pauses or PAUSES)
    while True:
        try:
            return ask()
        except Exception as error:  # backends raise whatever they like
            if not is_transient(error):
                raise
            if not left:
                raise failure_of(place, error, f' for {sum(pauses or PAUSES):.0f} s') from error
        time.sleep(left.pop(0))


def failure_of(place: Any, error: Exception, how_long: str = '') -> StorageError:
    """The error about a storage that fails."""
    return StorageError(f'The storage of {printable(os.fspath(place))} has failed{how_long} ({type(error).__name__}: '
                        f'{on_one_line(error)}), for which the file is not to blame: see to the disk, the mount or the '
                        'network, and start again, a training with --resume.')


def is_transient(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that the storage fails, and not that a file is bad."""
    verdicts = (_verdict(part) for part in chain_of(error))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def is_there(path: str) -> bool:
    """Whether there is such a file or folder; a storage that fails is no answer, but a StorageError."""
    try:
        patiently(partial(os.stat, path), path)
    except StorageError:
        raise
    except (OSError, ValueError):
        return False
    return True


def names_in(folder: str) -> list[str]:
    """What a folder holds, nothing if it is not there; a storage that fails is no answer, but a StorageError."""
    try:
        return patiently(partial(os.listdir, folder), folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def try_lock(descriptor: int) -> Optional[bool]:
    """Lock a file that is open for writing for this process, without waiting; None if the file system has no locks.

    POSIX's lock on a record is passed on by network file systems, and not inherited by workers. The process loses it
    with the first descriptor of the file that it closes, whoever has opened that.
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN) else None
    return True


def _verdict(error: BaseException) -> Optional[bool]:
    if isinstance(error, UserError):  # such as one that was waited for already
        return False
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in _BUSY_SERVER
    if isinstance(error, (ConnectionError, TimeoutError, HTTPException)):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    number = (error.errno or next(iter(error.args), None)) if isinstance(error, OSError) else None
    if isinstance(number, int):
        return number in _TRANSIENT
    return True if str(error).rstrip('.)\'" ').endswith(_TEXTS) else None  # of a library that has read on its own
