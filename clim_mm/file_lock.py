"""Locks on files that die with the process that holds them."""

import errno
import fcntl
from typing import Optional


def try_lock(descriptor: int) -> Optional[bool]:
    """Lock an open file for this process, without waiting.

    It is POSIX's lock on a record, which network file systems pass on to their server. Forked processes do not inherit
    it, so that no worker keeps it when its parent is killed. The process loses it with the first descriptor of the file
    that it closes, also one of its own that somebody else has opened.

    Args:
        descriptor: Of the file, open for writing.

    Returns:
        Whether this process has it now; None if the file system knows no locks.
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN) else None
    return True
