"""A process that was started as a part of other work ends when that work is gone.

Who trains by hand may log out, and the training goes on. But the processes of a torchrun, a study or the quickstart
have nobody left who would end them when it is killed, and would train beside the one that is started next.
"""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Optional

from .end_process import end_process

_STARTED_BY = 'CLIM_STARTED_BY'  # tools/dist_train.sh sets it, too
_TORCHRUN = 'TORCHELASTIC_RUN_ID'
_SECONDS = 1.0


def environment_of_a_part() -> dict[str, str]:
    """The environment for a command of tools/ that is to end when this process does."""
    return dict(os.environ, **{_STARTED_BY: f'{os.environ.get(_STARTED_BY, "")} {os.getpid()}:{_namespace()}'.strip()})


def end_with_starter(variable: str = _TORCHRUN) -> None:
    """End this process, with a sentence and status 1, soon after what has started it as a part is gone.

    That is whoever made an :func:`environment_of_a_part`, and the launcher. Each is looked for among the processes
    above this one, so a wrapper between the two, a number that is given again, and a zombie make no difference. One
    that cannot be seen from here, as from inside a container, is not watched.

    Args:
        variable: By which a launcher tells each process which it is.
    """
    if starters := _marked() | _launchers(variable):
        threading.Thread(target=_watch, args=(starters, ), name='StarterWatch', daemon=True).start()


def _watch(starters: set[int]) -> None:
    gone: set[int] = set()
    while not gone:
        with suppress(OSError):  # too many open files, say: it cannot be seen now
            gone = starters.difference(_ancestors())
        # All processes of a machine look at the same moments: each can say so before another's end is noticed.
        time.sleep(0 if gone else _SECONDS - time.time() % _SECONDS)
    end_process(f'Process {min(gone)}, which has started this one, is gone, and so this one ends; a training goes on '
                'from its last checkpoint when it is started again with --resume.')


def _marked() -> set[int]:
    here = _namespace()
    marks = [mark.partition(':') for mark in os.environ.get(_STARTED_BY, '').split()]
    return {int(pid) for pid, _, namespace in marks if namespace and namespace == here}


def _launchers(variable: str) -> set[int]:
    """The first process above this one that does not have the launcher's variable itself, if this one has it."""
    if variable in os.environ:
        own = f'{variable}={os.environ[variable]}'.encode()
        for pid in _ancestors():
            if own not in _environment(pid):
                return {pid}
    return set()


def _ancestors() -> list[int]:
    """The processes above this one, from its parent up; where there is no /proc, the parent."""
    pids, pid = [], os.getppid()
    while pid > 0:
        pids.append(pid)
        pid = _parent(pid) or 0
    return pids


def _parent(pid: int) -> Optional[int]:
    try:
        return int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[1])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _environment(pid: int) -> list[bytes]:
    """The variables that a process began with; none of one that is somebody else's."""
    try:
        return Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
    except OSError:
        return []


def _namespace() -> str:
    """Where process numbers mean the same; empty where /proc is not there, or not that of here."""
    try:
        return str(os.stat('/proc/self/ns/pid').st_ino) if os.readlink('/proc/self') == str(os.getpid()) else ''
    except OSError:
        return ''
