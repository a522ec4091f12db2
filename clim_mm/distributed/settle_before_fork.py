"""No DataLoader worker that hangs as it is forked.

After a collective, a thread of gloo may still give its tensor back to Python, and hold a lock of the interpreter for a
moment. In early releases of Python 3.10 and 3.11 a process forked in that moment waits for the lock for ever
(python/cpython#112275). A pause before each fork makes that unlikely; only a newer Python rules it out.
"""

import os
import sys
import time
from functools import lru_cache

_SECONDS = 0.05  # a thread needs microseconds, on a busy machine some milliseconds


@lru_cache(maxsize=1)
def settle_before_fork() -> None:
    """Let other threads finish what they are at before each fork of this process, from now on."""
    if sys.version_info < (3, 12):
        os.register_at_fork(before=_settle)


def _settle() -> None:
    time.sleep(_SECONDS)
