"""The progress bar of long work."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(*args: Any, show: bool = True, **kwargs: Any) -> tqdm:
    """A tqdm bar: live on a terminal, a line every half minute in a log file, none for work of under two seconds."""
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(*args, disable=not show, delay=2.0, mininterval=interval, **kwargs)
