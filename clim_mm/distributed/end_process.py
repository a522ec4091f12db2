"""How a process ends whose main thread may never come back, and that it ends with what has started it.

Who trains by hand may log out, and the training goes on. But the processes of a torchrun, a study or the quickstart
have nobody left who would end them when it is killed, and would train beside the one that is started next.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.util import register_after_fork
from pathlib import Path

from clim_mm.log_files import write_to_log

_SECONDS_TO_END = 2.0
_ENDING = threading.Lock()
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_STARTED_BY = 'CLIM_STARTED_BY'  # tools/dist_train.sh sets it, too
_OF_LAUNCHERS = {'TORCHELASTIC_RUN_ID', 'OMPI_COMM_WORLD_RANK'}  # variables of torchrun and mpirun; Slurm ends its own
_SECONDS_BETWEEN_LOOKS = 1.0


def end_process(sentence: str, status: int = 1) -> None:
    """End this process and its children, from any thread, and say why on stderr and in the log.

    No exception reaches a main thread that waits in a collective, or for a kernel of a GPU. Nothing is waited for
    either: what cannot be written within seconds is lost.

    Args:
        sentence: What to say; empty for nothing. The first to say one is heard.
        status: Exit status of the process.
    """
    _ENDING.acquire()
    last_resort = threading.Timer(_SECONDS_TO_END, os._exit, args=(status, ))
    last_resort.daemon = True
    last_resort.start()
    if sentence:
        say(f'Error: {sentence}')
    for child in multiprocessing.active_children():  # DataLoader workers
        child.kill()
    if sentence:
        with suppress(Exception):
            write_to_log(logging.WARNING, sentence)  # as an ERROR it would have a place in the code
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


def starter_environment() -> dict[str, str]:
    """The environment for a command of tools/ that is to end when this process does."""
    return dict(os.environ, **{_STARTED_BY: f'{os.environ.get(_STARTED_BY, "")} {os.getpid()}:{_namespace()}'})


def end_with_starter() -> None:
    """End this process, with a sentence and status 1, soon after what has started it is gone. Linux only.

    That is whoever made a :func:`starter_environment`, and the launcher. It is looked for among the processes above
    this one, so that neither a wrapper between the two, nor a number that is given again, nor a zombie deceives. One
    that cannot be seen from here, as from inside a container, is not watched.
    """
    here = _namespace()
    marks = [mark.partition(':') for mark in os.environ.get(_STARTED_BY, '').split()]
    starters = {int(pid) for pid, _, namespace in marks if here and namespace == here}
    if here and not _OF_LAUNCHERS.isdisjoint(os.environ):
        starters.add(os.getppid())
    starters.discard(0)
    if starters:
        threading.Thread(target=_watch, args=(starters, ), name='StarterWatch', daemon=True).start()


def _watch(starters: set[int]) -> None:
    gone: set[int] = set()
    while not gone:
        with suppress(OSError):  # too many open files, say: it cannot be seen now
            gone = starters.difference(_ancestors())
        time.sleep(0 if gone else _SECONDS_BETWEEN_LOOKS)
    end_process(f'Process {min(gone)}, which has started this one, is gone, and so this one ends; a training goes on '
                'from its last checkpoint when it is started again with --resume.')


def _ancestors() -> list[int]:
    """The processes above this one, from its parent up to the first that is somebody else's."""
    pids, pid = [], os.getppid()
    while pid > 0:
        pids.append(pid)
        try:
            pid = int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[1])
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            break
    return pids


def _namespace() -> str:
    """Where process numbers mean the same; empty where /proc is not there, or not that of here."""
    try:
        return str(os.stat('/proc/self/ns/pid').st_ino) if os.readlink('/proc/self') == str(os.getpid()) else ''
    except OSError:
        return ''
