"""Memory that a process keeps, rather than give it back to the system and ask for it anew in each step."""

import ctypes

# glibc's mallopt(3). By default it gives large blocks back at once, and the system fills new ones with zeros, page by
# page: a cost that grows faster than the activations. GPUs do not know it, since torch keeps their memory.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_SETTINGS = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_TOP_PAD: 2**28}  # no mmap; never trim; ask for 256 MiB at once


def keep_memory() -> None:
    """Let this process and its children keep what they free. Does nothing with another allocator than glibc's."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError):
        return
    for name, value in _SETTINGS.items():
        mallopt(name, value)
