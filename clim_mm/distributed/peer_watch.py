"""No process of a training waits for another that is gone.

Some waits last for hours and have to: rank 0 clusters while the others wait. A machine that dies without a word
would keep them all waiting as long.
"""

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Optional

import torch.distributed as torch_dist

from clim_mm.errors import UserError

from .end_process import end_process

_TAIL = ('; the training ends here, and goes on from its last checkpoint when it is started again with --resume, on '
         'fewer machines if need be.')


class PeerLostError(UserError, ConnectionError):
    """Another process of the training that cannot be reached."""


class PeerWatch:
    """Ends this process, with one sentence and status 1, soon after another process of the training is gone.

    Each process counts up a key of a store at each beat, and looks at that of the next rank; the first loss that any of
    them sees ends them all, whatever their main threads wait for. Silence is counted in one's own beats: a process that
    was itself stopped for minutes does not take the others for dead.

    As a context: at the end each process waits, still watched, until all have finished. When an exception leaves it,
    the others are told, unless it is that of a collective whose partner has died: then the process ends with the
    sentence.

    Args:
        store: One of ``torch.distributed`` that all processes share.
        serves: Whether the store's server is in this process.
        patience: Seconds of silence after which a process counts as gone.
        start_timeout: Seconds after which a process counts as gone that has not come.
    """

    def __init__(self, store: torch_dist.Store, rank: int, world_size: int, serves: bool, patience: float,
                 start_timeout: float) -> None:
        self._store = torch_dist.PrefixStore('clim_mm', store)
        self._rank = rank
        self._world_size = world_size
        self._next = (rank + 1) % world_size
        self._serves = serves
        self._interval = min(1.0, patience / 16)  # seconds
        self._patience = patience
        self._start_timeout = start_timeout
        self._beats, self._beat_of_next = 0, b''  # nothing until it has come
        self._silent_beats, self._store_silent_beats, self._goodbyes = 0, 0, 0
        self._loss = ''
        self._finished = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name='PeerWatch', daemon=True)

    def __enter__(self) -> 'PeerWatch':
        self._store.set(f'host/{self._rank}', socket.gethostname())
        self._thread.start()
        threading.Thread(target=self._watch_store, name='StoreWatch', daemon=True).start()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        if error is None:
            self._finished = True
            self._thread.join()
            return
        if isinstance(error, torch_dist.DistError) or (isinstance(error, RuntimeError) and 'gloo' in str(error)):
            self._thread.join(2 * self._patience)
        with suppress(RuntimeError):
            self._tell(f'{self._name(self._rank)} has stopped with an error, which its own output shows')
        self._over.set()
        if self._serves:
            time.sleep(2 * self._interval)  # for the others to read it
        self._thread.join(self._interval)

    def tell_others(self, text: str) -> None:
        """Say something, on rank 0, that the others wait for; once."""
        self._store.set('word', text)

    def from_rank_0(self) -> str:
        """What rank 0 says, before there is a process group."""
        while not self._store.check(['word']):  # a wait of the store's would keep the thread from it
            time.sleep(self._interval / 4)
        return self._store.get('word').decode()

    def _watch(self) -> None:
        """Beat and look at the others until all have finished or one is gone."""
        while not self._loss:
            try:
                self._loss = self._beat()
            except torch_dist.DistError:
                self._loss = 'Rank 0, or the torchrun on its machine, is gone'  # whichever has the store
            self._store_silent_beats = 0
            if self._over.wait(self._interval):
                return
        if not self._over.wait(self._patience / 8):  # in which this process may show an error of its own
            end_process(self._loss + _TAIL)

    def _beat(self) -> str:
        """Say that this process lives, and see whether the next does; gives the first loss that any has seen."""
        self._beats += 1
        self._store.set(f'beat/{self._rank}', str(self._beats))
        if not self._store.check([f'left/{self._next}']):
            self._look_at_next()
        if self._finished:
            self._leave()
        return self._tell('')

    def _look_at_next(self) -> None:
        key = f'beat/{self._next}'
        beat = self._store.get(key) if self._store.check([key]) else b''
        self._silent_beats = self._silent_beats + 1 if beat == self._beat_of_next else 0
        self._beat_of_next = beat
        seconds = self._silent_beats * self._interval
        if beat and seconds > self._patience:
            self._tell(self._silence(self._name(self._next)))
        elif not beat and seconds > self._start_timeout:
            self._tell(f'Rank {self._next} of {self._world_size} processes did not come within '
                       f'{self._start_timeout:.0f} s, and its machine shows why')

    def _leave(self) -> None:
        """Stop watching once all have finished; rank 0, which may have the store, as the last."""
        self._store.set(f'finished/{self._rank}', '')
        if self._all('finished'):
            self._store.set(f'left/{self._rank}', '')
            self._goodbyes += 1
            if self._rank or self._all('left') or self._goodbyes * self._interval > self._patience:
                self._over.set()

    def _all(self, have: str) -> bool:
        return self._store.check([f'{have}/{rank}' for rank in range(self._world_size)])

    def _tell(self, loss: str) -> str:
        """Put a loss into the store if it is the first one; gives the first one, or nothing."""
        return self._store.compare_set('loss', '', loss).decode()

    def _watch_store(self) -> None:
        while not self._over.wait(self._interval):
            self._store_silent_beats += 1
            if self._store_silent_beats * self._interval > 1.25 * self._patience:  # first let who sees more tell
                end_process(self._silence('The store of rank 0') + _TAIL)

    def _silence(self, who: str) -> str:
        return f'{who} has been silent for {self._patience:.0f} s: it was killed, or its machine or the network is down'

    def _name(self, rank: int) -> str:
        return f'Rank {rank} on {self._store.get(f"host/{rank}").decode()}'
