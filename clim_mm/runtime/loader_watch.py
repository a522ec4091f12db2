"""Nobody waits for good, and in silence, for a batch that does not come."""

import logging
import multiprocessing
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from clim_mm.checks import check_number
from clim_mm.distributed.end_process import end_process, say
from clim_mm.errors import ConfigError, some_of
from clim_mm.log_files import write_to_log

from .standstill import files_read_by, standstill_of

VARIABLE = 'CLIM_LOADER_PATIENCE'
_PATIENCE = 300.0  # seconds [ours]
_BEATS = 4  # of the patience
_LAST = 12  # patiences without a batch, after which the process ends [ours]


class LoaderWatch:
    """Says when no batch has come for long, which worker stands still, at what, and what helps; at last it ends all.

    A thread looks seldom. It counts how often it has looked since the wait began, not the time: a process that was
    itself stopped for hours has not waited as long. The environment variable ``CLIM_LOADER_PATIENCE`` gives the seconds
    of the first sentence, by default 300; others follow, and after twelve times as long the process ends.

    Raises:
        ConfigError: If the variable is no number above 0.
    """

    def __init__(self) -> None:
        self._patience = _seconds()
        self._number = 0  # of the wait
        self._waits = False
        self._over = threading.Event()
        threading.Thread(target=_look, args=(weakref.ref(self), self._over, self._patience / _BEATS),
                         name='LoaderWatch', daemon=True).start()

    def expect(self) -> None:
        """From now on a batch is waited for."""
        self._number += 1
        self._waits = True

    def came(self) -> None:
        """It is there, or no further one is wanted."""
        self._waits = False

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()

    @property
    def wait(self) -> int:
        """Which wait lasts; 0 for none."""
        return self._number if self._waits else 0

    def judge(self, beats: int) -> None:
        """Say something, or end, after so many looks at the same wait."""
        if beats < _BEATS or beats & (beats - 1) and beats < _BEATS * _LAST:  # 4, 8, 16, ...
            return
        text = f'No batch has come for {beats / _BEATS * self._patience:,.0f} s: {_why()}'
        if beats >= _BEATS * _LAST:
            end_process(f'{text} The program ends here; a training goes on from its last checkpoint with --resume.')
        say(f'Warning: {text}')
        write_to_log(logging.WARNING, text)


def watched(loader: DataLoader) -> Iterator[Any]:
    """The batches of a loader, under a :class:`LoaderWatch`."""
    watch = LoaderWatch()
    try:
        watch.expect()
        for batch in loader:
            watch.came()
            yield batch
            watch.expect()
    finally:
        watch.close()


def _look(watching: 'weakref.ref[LoaderWatch]', over: threading.Event, interval: float) -> None:
    last = beats = 0
    while not over.wait(interval):
        watch = watching()
        if watch is None:
            return
        beats = beats + 1 if watch.wait and watch.wait == last else 0
        last = watch.wait
        watch.judge(beats)


def _why() -> str:
    """A sentence or two on the workers, those first for which something helps."""
    own = files_read_by(os.getpid())
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    if not workers:
        found = standstill_of(os.getpid())
        return f'this process, which reads the images itself, {found.words}{found.remedy and ": " + found.remedy}.'
    states = {pid: standstill_of(pid, own) for pid in workers}
    known = {pid: state for pid, state in states.items() if state.remedy} or states
    words = [f'worker {pid} {state.words}' for pid, state in known.items()]
    remedies = dict.fromkeys(state.remedy for state in known.values() if state.remedy)
    return f'{some_of(words, 4)}{remedies and ": " + "; ".join(remedies) or ""}.'


def _seconds() -> float:
    given = os.environ.get(VARIABLE, _PATIENCE)
    try:
        seconds = float(given)
    except ValueError:
        raise ConfigError(f'{VARIABLE}={given} must be a number of seconds above 0.') from None
    check_number(VARIABLE, seconds, above=0)
    return seconds
