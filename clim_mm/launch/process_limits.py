"""What a process may take of the machine: files that it opens, and memory that it keeps."""

import ctypes
import sys

_ENOUGH_FILES = 65536  # [ours]
# glibc's mallopt(3). By default it gives large blocks back at once, and the system fills new ones with zeros, page by
# page: a cost that grows faster than the activations. GPUs do not know it, since torch keeps their memory.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_SETTINGS = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: 2**28}  # no mmap; never trim; ask for 256 MiB at once


def raise_open_files() -> None:
    """Let this process and its children open as many files as the system lets it have, where that is few by default.

    Each tensor of a batch comes from a DataLoader worker as a file; with the usual 1,024 large batches never arrive.
    """
    if sys.platform == 'win32':
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(_ENOUGH_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def keep_memory() -> None:
    """Let this process and its children keep what they free. Does nothing with another allocator than glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError):
        return
    for name, value in _SETTINGS.items():
        mallopt(name, value)
