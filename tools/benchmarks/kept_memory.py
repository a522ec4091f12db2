"""Memory that a process keeps, rather than give it back to the system and ask for it anew in each step."""

import os
import sys

# glibc gives large blocks back at once, and the system fills new ones with zeros, page by page: a cost that grows
# faster than the activations. GPUs do not know it, since torch keeps their memory.
_VARIABLES = dict(MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_=str(2**36), MALLOC_TOP_PAD_=str(2**28))


def keep_memory() -> None:
    """Start this program again with these settings of glibc, unless it has been; others than glibc ignore them."""
    if _VARIABLES.items() <= os.environ.items():
        return
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(os.environ, **_VARIABLES))
