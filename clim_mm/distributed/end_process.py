"""How a process ends whose main thread may never come back, and that its children end with it."""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.util import register_after_fork

from clim_mm.log_files import write_to_log

_SECONDS = 2.0
_ENDING = threading.Lock()
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def end_process(sentence: str, status: int = 1) -> None:
    """End this process and its children, from any thread, and say why on stderr and in the log.

    No exception reaches a main thread that waits in a collective, or for a kernel of a GPU. Nothing is waited for
    either: what cannot be written within seconds is lost.

    Args:
        sentence: What to say; empty for nothing. The first to say one is heard.
        status: With which the process ends.
    """
    _ENDING.acquire()
    last_resort = threading.Timer(_SECONDS, os._exit, args=(status, ))
    last_resort.daemon = True
    last_resort.start()
    if sentence:
        say(f'Error: {sentence}')
    for child in multiprocessing.active_children():  # DataLoader workers
        child.kill()
    if sentence:
        with suppress(Exception):
            write_to_log(logging.ERROR, sentence)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def say(sentence: str) -> None:
    """Write a line to stderr, past Python's stream, which the main thread may have locked."""
    with suppress(OSError):
        os.write(2, f'\n{sentence}\n'.encode())  # a progress bar may have left the line unfinished


def tie_children() -> None:
    """Let the processes that ``multiprocessing`` forks from now on be killed when this one dies. Linux only.

    A DataLoader worker looks after its parent itself, but where the pipe of results is full it waits for ever for
    somebody to read it, and keeps its memory and the open files.
    """
    if sys.platform == 'linux':
        register_after_fork(_die_with_parent, lambda die: die())


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it was quicker
        os._exit(1)
