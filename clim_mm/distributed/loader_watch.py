"""Warnings when no batch comes, with the reason as far as Linux tells, and an end to the wait after an hour."""

import logging
import multiprocessing
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from torch.utils.data import DataLoader

from clim_mm.checks import check_number
from clim_mm.distributed.end_process import end_process, say
from clim_mm.errors import ConfigError, printable, some_of
from clim_mm.log_files import write_to_log

_VARIABLE, _PATIENCE = 'CLIM_LOADER_PATIENCE', 300.0  # seconds [ours]
_LOOKS = 4  # in a patience
_WARN, _END = (4, 8, 16, 32), 48  # after so many looks at the same wait [ours]


class LoaderWatch:
    """Warns when no batch has come for long, says which worker stands still at what, and at last ends the process.

    The environment variable ``CLIM_LOADER_PATIENCE`` gives the seconds before the first warning, by default 300; others
    follow, and after twelve times as long the process ends. A thread counts how often it has looked since the wait
    began, not the time: a process that was itself stopped for hours has not waited as long.
    """

    def __init__(self) -> None:
        given = os.environ.get(_VARIABLE, _PATIENCE)
        try:
            self._patience = float(given)
        except ValueError:
            raise ConfigError(f'{_VARIABLE}={given} must be a number of seconds above 0.') from None
        check_number(_VARIABLE, self._patience, above=0)
        self.wait: Optional[object] = None  # stands for the present one
        threading.Thread(target=_look, args=(weakref.ref(self), self._patience / _LOOKS), daemon=True).start()

    def expect(self) -> None:
        """Start a wait for a batch."""
        self.wait = object()

    def came(self) -> None:
        """End the wait: the batch is there, or no further one is wanted."""
        self.wait = None

    def judge(self, looks: int) -> None:
        """Warn, or end the process, after so many looks at the same wait."""
        if looks not in _WARN and looks < _END:
            return
        text = f'No batch has come for {looks / _LOOKS * self._patience:,.0f} s: {_why()}'
        if looks >= _END:
            end_process(f'{text} The program ends here; a training goes on from its last checkpoint with --resume.')
        say(f'Warning: {text}')
        write_to_log(logging.WARNING, text)


def watched(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader, under a :class:`LoaderWatch`."""
    watch = LoaderWatch()
    watch.expect()
    for batch in loader:
        watch.came()
        yield batch
        watch.expect()


def _look(watching: 'weakref.ref[LoaderWatch]', interval: float) -> None:
    last, looks = None, 0
    while True:
        time.sleep(interval)
        if (watch := watching()) is None:  # the thread ends with the object
            return
        looks = looks + 1 if watch.wait and watch.wait is last else 0
        last = watch.wait
        watch.judge(looks)
        del watch  # or it would never be gone


def _why() -> str:
    """A sentence on the workers, those first for which something helps."""
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    found = {f'worker {pid}': standstill_of(pid) for pid in workers} or {
        'this process, which reads the images itself,': standstill_of(os.getpid())}
    known = {name: state for name, state in found.items() if state[1]} or found
    remedies = '; '.join(dict.fromkeys(remedy for _, remedy in known.values() if remedy))
    return f'{some_of([f"{name} {words}" for name, (words, _) in known.items()], 4)}{remedies and f": {remedies}"}.'


def standstill_of(pid: int) -> tuple[str, str]:
    """What a process is doing, in words that follow its name, and what helps, if that is known."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
        inherited = files_read_by(os.getpid()) if pid != os.getpid() else []
        reads = [path for path in files_read_by(pid) if path not in inherited]
    except (OSError, IndexError):
        return 'tells nothing', ''
    at = f' at {printable(reads[-1])}' if reads else ''
    if state in 'Tt':
        return f'is stopped, by SIGSTOP or a debugger{at}', f'kill -CONT {pid} lets it go on'
    if state == 'D' or at:
        return f'waits for its storage{at}', 'see whether the disk or the network file system answers'
    return 'computes' if state == 'R' else 'sleeps, with no image open', ''


def files_read_by(pid: int) -> list[str]:
    """Files that a process has open for reading, by descriptor; no devices."""
    found = []
    for number in sorted(map(int, os.listdir(f'/proc/{pid}/fd'))):
        try:
            path = os.readlink(f'/proc/{pid}/fd/{number}')
            flags = Path(f'/proc/{pid}/fdinfo/{number}').read_text().partition('flags:')[2].split()[0]
        except (OSError, IndexError):  # closed meanwhile
            continue
        reads = int(flags, 8) & os.O_ACCMODE == os.O_RDONLY
        if reads and path.startswith('/') and not path.startswith(('/dev/', '/proc/')):
            found.append(path)
    return found
