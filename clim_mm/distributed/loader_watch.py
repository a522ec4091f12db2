"""Warnings when no batch comes, and an end to the wait after an hour."""

import logging
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Optional

from torch.utils.data import DataLoader

from clim_mm.log_files import write_to_log

from .end_process import end_process, say
from .process_group import seconds_from

_LOOKS = 4  # in a patience
_WARN, _END = (4, 8, 16, 32), 48  # after so many looks at the same wait [ours]


class LoaderWatch:
    """Warns when no batch has come for long, and at last ends the process.

    The environment variable ``CLIM_LOADER_PATIENCE`` gives the seconds before the first warning, by default 300; others
    follow, and after twelve times as long the process ends. A thread counts how often it has looked since the wait
    began, not the time: a process that was itself stopped for hours has not waited as long.
    """

    def __init__(self) -> None:
        self._patience = seconds_from('CLIM_LOADER_PATIENCE', 300.0)  # [ours]
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
        text = (f'No batch has come for {looks / _LOOKS * self._patience:,.0f} s: see whether the disk or the network '
                'file system answers, and whether a worker was stopped (kill -CONT lets it go on).')
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
