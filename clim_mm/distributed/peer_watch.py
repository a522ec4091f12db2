"""No process of a training waits for another that is gone.

Some waits last for hours and have to: rank 0 clusters while the others wait. A machine that dies without a word
would keep them all waiting as long.
"""

import json
import secrets
import socket
import threading
from contextlib import suppress
from datetime import timedelta
from multiprocessing.util import register_after_fork
from types import TracebackType
from typing import Optional

import torch.distributed as torch_dist

from clim_mm.errors import UserError, on_one_line

from .listen import listen_at
from .peer_link import PeerLink
from .peer_loop import BEATS_OF_PATIENCE, PeerLoop

_STORE_KEY, _WORD_KEY = 'clim_mm/peer_watch', 'clim_mm/from_rank_0'
_SECONDS_OF_A_GOODBYE = 2.0
_LONGEST = timedelta(days=1)


class PeerLostError(UserError, ConnectionError):
    """Another process of the training that cannot be reached."""


class PeerWatch:
    """Ends this process, with one sentence and status 1, soon after another process of the training is gone.

    A thread in every process says over a TCP connection of its own that the process lives: each to rank 0, and
    rank 0 to each. A process that dies closes its connection; a machine that dies falls silent. Rank 0 tells the
    others which it was, and each ends, whatever its main thread is waiting for. That rank 0 itself is gone, each of
    the others notices.

    Silence is counted in one's own beats, not by the clock: a process that was itself stopped for minutes does not
    take the others for dead. The main thread may compute or wait as long as it likes, so long as it lets Python's
    other threads run.

    As a context: at the end each process waits, still watched, until all have finished. When an exception leaves it,
    the others are told. A ``RuntimeError`` may be that of a collective whose partner has died: if the watch knows
    of one, or hears of one soon, the process ends with the sentence instead.

    Args:
        store: One of ``torch.distributed`` that all processes share; from it they learn rank 0's port.
        rank, world_size: Of this process, and how many there are.
        address: Where rank 0's machine is reached.
        one_machine: Whether all processes are on one.
        patience: Seconds of silence after which a process counts as gone.
        start_timeout: Seconds after which a process counts as gone that has not come.

    Raises:
        PeerLostError: By ``with``, if rank 0 cannot be reached.
    """

    def __init__(self,
                 store: torch_dist.Store,
                 rank: int,
                 world_size: int,
                 address: str,
                 one_machine: bool = False,
                 patience: float = 40.0,
                 start_timeout: float = 600.0) -> None:
        self._store = store  # its server may live in this process
        self._rank = rank
        self._world_size = world_size
        self._address = address
        self._one_machine = one_machine
        self._interval = patience / BEATS_OF_PATIENCE
        self._start_timeout = start_timeout
        self._host = socket.gethostname()
        # The main thread's words reach the loop as the other processes' do.
        self._to_loop, self._from_main = (PeerLink(end, rank) for end in socket.socketpair())
        self._loop = PeerLoop(rank, world_size, self._interval, start_timeout, self._from_main)
        self._thread = threading.Thread(target=self._loop.run, name='PeerWatch', daemon=True)

    def __enter__(self) -> 'PeerWatch':
        if self._rank == 0:
            self._open()
        else:
            self._join()
        # A forked DataLoader worker that holds the connections open would hide that its parent has died.
        register_after_fork(self, PeerWatch._close)
        self._thread.start()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        if error is None:
            self._to_loop.say('finished')
            self._thread.join()
        else:
            if isinstance(error, RuntimeError):
                # Longer than a beat, which a machine that has started anew answers by closing the connection, and
                # than the others are left to show their errors.
                self._thread.join(self._interval + 1)
            self._to_loop.say('failed')
            self._thread.join(_SECONDS_OF_A_GOODBYE)
        if not self._thread.is_alive():
            self._close()

    def from_rank_0(self, text: str = '') -> str:
        """What rank 0 says, before there is a process group; all processes call it together, once.

        Args:
            text: On rank 0.

        Returns:
            The text of rank 0, when all have it.
        """
        if self._rank == 0:
            self._store.set(_WORD_KEY, text)
        self._store.wait([_WORD_KEY], _LONGEST)
        heard = self._store.get(_WORD_KEY).decode()
        self._store.set(f'{_WORD_KEY}/{self._rank}', '')
        if self._rank == 0:  # with it the store may go
            self._store.wait([f'{_WORD_KEY}/{rank}' for rank in range(self._world_size)], _LONGEST)
        return heard

    def _open(self) -> None:
        servers = listen_at(self._address, self._one_machine)
        token = secrets.token_hex()  # anybody can knock at the port
        self._loop.expect(servers, token)
        hosts = [server.getsockname()[0] for server in servers]
        self._store.set(_STORE_KEY, json.dumps([self._host, servers[0].getsockname()[1], token, hosts]))

    def _join(self) -> None:
        try:
            host, port, token, hosts = json.loads(self._store.get(_STORE_KEY))
            link = PeerLink(self._connection(port, hosts), 0, host)
        except (RuntimeError, OSError) as error:
            raise PeerLostError(
                f'Rank {self._rank} on {self._host} cannot reach rank 0 at {self._address}: see the output there, and '
                f'let the machines reach each other on every port ({on_one_line(error)}).') from error
        link.say(token, self._rank, self._host)
        self._loop.add(link)

    def _connection(self, port: int, hosts: list[str]) -> socket.socket:
        """To rank 0, by the address that all have, else by what that means on rank 0's machine."""
        try:
            return socket.create_connection((self._address, port), self._start_timeout)
        except OSError:
            for host in hosts:
                with suppress(OSError):
                    return socket.create_connection((host, port), self._start_timeout)
            raise

    def _close(self) -> None:
        self._loop.close()
        for end in (self._to_loop, self._from_main):
            end.close()
