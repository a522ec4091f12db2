"""No process of a training waits for another that is gone.

Some waits last for hours and have to: rank 0 clusters while the others wait. A machine that dies without a word
would keep them all waiting as long.
"""

import json
import socket
import threading
import time
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.util import register_after_fork
from types import TracebackType
from typing import Optional

import torch.distributed as torch_dist

from clim_mm.errors import UserError

from .end_process import end_process, say

_LONGEST_BEAT = 1.0  # seconds
_DIED = 'has died: it closed its connection without a goodbye'
_TAIL = ('; the training ends here, and goes on from its last checkpoint when it is started again with --resume, on '
         'fewer machines if need be.')


class PeerLostError(UserError, ConnectionError):
    """Another process of the training that cannot be reached."""


class PeerWatch:
    """Ends this process, with one sentence and status 1, soon after another process of the training is gone.

    A thread in every process counts up a key of the store at each beat, and looks at that of the next rank. It also
    holds a connection to the next process, over which nothing is said: the system closes it when that process dies. The
    first loss that any process sees is put into the store, and each process ends with it, whatever its main thread is
    waiting for. A second thread notices that the store itself does not answer.

    Silence is counted in one's own beats, not by the clock: a process that was itself stopped for minutes does not
    take the others for dead. The main thread may compute or wait as long as it likes, so long as it lets Python's
    other threads run.

    As a context: at the end each process waits, still watched, until all have finished. When an exception leaves it,
    the others are told. If the exception is that of a collective whose partner has died, the process ends with the
    sentence instead.

    Args:
        store: One of ``torch.distributed`` that all processes share.
        rank, world_size: Of this process, and how many there are.
        place: Address and port of the store, by which rank 0's machine is reached.
        serves: Whether the store's server is in this process.
        patience: Seconds of silence after which a process counts as gone.
        start_timeout: Seconds after which a process counts as gone that has not come.
    """

    def __init__(self, store: torch_dist.Store, rank: int, world_size: int, place: tuple[str, int],
                 serves: bool = False, patience: float = 40.0, start_timeout: float = 600.0) -> None:
        self._store = torch_dist.PrefixStore('clim_mm', store)
        self._rank = rank
        self._ranks = range(world_size)
        self._next = (rank + 1) % world_size
        self._place = place
        self._serves = serves
        self._interval = min(_LONGEST_BEAT, patience / 16)
        self._patience = patience
        self._start_timeout = start_timeout
        self._start = 0.0
        self._peers: dict[int, tuple[str, str, int]] = {}  # host, address and port of those who have come
        self._lines: dict[str, socket.socket] = {}  # 'own' listens; 'next' and 'store' are connections
        self._beat_of_next, self._silent_beats, self._store_silent_beats, self._goodbyes = b'', 0, 0, 0
        self._loss = ''
        self._finished = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name='PeerWatch', daemon=True)

    def __enter__(self) -> 'PeerWatch':
        self._lines['own'] = own = _listen_towards(*self._place)
        self._store.set(f'beat/{self._rank}', '')
        self._store.set(f'peer/{self._rank}', json.dumps([socket.gethostname(), *own.getsockname()[:2]]))
        with suppress(OSError):
            self._lines['store'] = socket.create_connection(self._place, self._patience)
        # A forked DataLoader worker that holds the sockets open would hide that its parent has died.
        register_after_fork(self, PeerWatch._close)
        self._start = time.monotonic()
        self._thread.start()
        threading.Thread(target=self._watch_store, name='StoreWatch', daemon=True).start()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        if error is None:
            self._finished = True
            self._thread.join()
        else:
            if isinstance(error, RuntimeError) and (self._loss or _is_of_collective(error)):
                self._thread.join(1.5 * self._patience)
            with suppress(RuntimeError):
                self._tell(f'{self._name(self._rank)} has stopped with an error, which its own output shows')
            self._over.set()
            if self._serves:
                time.sleep(2 * self._interval)  # for the others to read it
            self._thread.join(self._interval)
        self._close()

    def from_rank_0(self, text: str = '') -> str:
        """What rank 0 says, before there is a process group; all processes call it together, once.

        Args:
            text: On rank 0.

        Returns:
            The text of rank 0, when all have it.
        """
        if self._rank == 0:
            self._store.set('word', text)
        self._await(['word'])
        heard = self._store.get('word').decode()
        self._store.set(f'heard/{self._rank}', '')
        if self._rank == 0:  # with it the store may go
            self._await(self._keys('heard'))
        return heard

    def _await(self, keys: list[str]) -> None:
        while not self._store.check(keys):  # a wait of the store's would keep the thread from it
            time.sleep(self._interval / 4)

    def _keys(self, name: str) -> list[str]:
        return [f'{name}/{rank}' for rank in self._ranks]

    def _watch(self) -> None:
        """Beat and look at the others until all have finished or one is gone."""
        beat = 0
        while not self._loss:
            try:
                self._loss = self._beat(beat)
            except torch_dist.DistError:  # the store is gone
                self._loss = f'{self._name(0)} {_DIED}'
            self._store_silent_beats = 0
            if self._over.wait(self._interval):
                return
            beat += 1
        if not self._over.wait(self._patience / 8):  # in which this process may show an error of its own
            end_process(self._loss + _TAIL)

    def _beat(self, beat: int) -> str:
        """Say that this process lives, and see whether others do; gives the first loss that any process has seen."""
        if _is_closed(self._lines.get('store')):
            return f'{self._name(0)} {_DIED}'
        self._store.set(f'beat/{self._rank}', str(beat))
        if missing := [rank for rank in self._ranks if rank not in self._peers]:
            self._meet(missing, beat)
        if self._next in self._peers and not self._store.check([f'left/{self._next}']):
            self._look_at_next()
        if self._finished:
            self._leave()
        return self._tell('')

    def _meet(self, missing: list[int], beat: int) -> None:
        """See who has come, and say who is still missing, and that it is enough."""
        for rank in missing:
            if self._store.check([f'peer/{rank}']):
                self._peers[rank] = tuple(json.loads(self._store.get(f'peer/{rank}')))
                if rank == self._next:
                    with suppress(OSError):  # then its beats must do
                        self._lines['next'] = socket.create_connection(self._peers[rank][1:], self._patience / 4)
        seconds = time.monotonic() - self._start
        still = ', '.join(str(rank) for rank in missing if rank not in self._peers)
        if still and seconds >= self._start_timeout:
            self._tell(f'Rank {still} of {len(self._ranks)} processes did not come within {self._start_timeout:.0f} s, '
                       'and its machine shows why')
        elif still and self._rank == 0 and beat and beat % round(self._patience / self._interval) == 0:
            say(f'Waiting for rank {still} of {len(self._ranks)} processes since {seconds:.0f} s, until '
                f'{self._start_timeout:.0f} s.')

    def _look_at_next(self) -> None:
        beat = self._store.get(f'beat/{self._next}')
        self._silent_beats = self._silent_beats + 1 if beat == self._beat_of_next else 0
        self._beat_of_next = beat
        if self._silent_beats > 2 and _is_closed(self._lines.get('next')):
            self._tell(f'{self._name(self._next)} {_DIED}')
        elif self._silent_beats * self._interval > self._patience:
            self._tell(self._silence(self._next))

    def _leave(self) -> None:
        """Stop watching once all have finished; rank 0, which may have the store, as the last."""
        self._store.set(f'finished/{self._rank}', '')
        if self._store.check(self._keys('finished')):
            self._store.set(f'left/{self._rank}', '')
            self._goodbyes += 1
            if self._rank or self._store.check(self._keys('left')) or self._goodbyes * self._interval > self._patience:
                self._over.set()

    def _tell(self, loss: str) -> str:
        """Put a loss into the store if it is the first one; gives the first one, or nothing."""
        return self._store.compare_set('loss', '', loss).decode()

    def _watch_store(self) -> None:
        while not self._over.wait(self._interval):
            self._store_silent_beats += 1
            if self._store_silent_beats * self._interval > 1.25 * self._patience:  # first let who sees more tell
                end_process(self._silence(0) + _TAIL)

    def _silence(self, rank: int) -> str:
        return f'{self._name(rank)} has been silent for {self._patience:.0f} s: its machine or the network is down'

    def _name(self, rank: int) -> str:
        host = socket.gethostname() if rank == self._rank else self._peers.get(rank, self._place)[0]
        return f'Rank {rank} on {host}'

    def _close(self) -> None:
        for line in self._lines.values():
            line.close()


def _listen_towards(address: str, port: int) -> socket.socket:
    """A socket that listens where this machine reaches ``address``: who is connected to it sees this process die."""
    with suppress(OSError):
        family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)  # sends nothing
            return socket.create_server((probe.getsockname()[0], 0), family=family)
    return socket.create_server(('localhost', 0))


def _is_closed(line: Optional[socket.socket]) -> bool:
    """Whether the process at the other end is gone; nothing is ever said over a line."""
    return line is not None and bool(wait([line], 0))


def _is_of_collective(error: RuntimeError) -> bool:
    return isinstance(error, torch_dist.DistError) or 'gloo' in str(error)
