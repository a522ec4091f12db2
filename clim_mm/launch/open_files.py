"""How many files a command may open."""

import sys

_ENOUGH = 65536  # [ours]


def raise_open_files() -> None:
    """Let this process and its children open as many files as the system lets it have, where that is few by default.

    Each tensor of a batch comes from a DataLoader worker as a file; with the usual 1,024 large batches never arrive.
    """
    if sys.platform == 'win32':
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
