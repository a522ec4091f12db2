"""What a process makes of what the other processes of its training say, or no longer say."""

import selectors
import socket
import time

from .end_process import end_process, say
from .peer_door import PeerDoor
from .peer_link import PeerLink

BEATS_OF_PATIENCE = 8


class PeerLoop:
    """The thread of a :class:`PeerWatch`: the only user of its connections.

    The words: ``beat``; ``finished`` and ``failed``, of the process that says it; ``lost``, by which rank 0 passes on
    whom it has lost; ``all finished``, by which rank 0 lets the others go. The main thread says ``finished`` or
    ``failed``.

    Args:
        rank, world_size: Of this process, and how many there are.
        interval: Seconds between two beats.
        start_timeout: Seconds after which rank 0 does not wait any longer for those that have not come.
        main: From the main thread.
    """

    def __init__(self, rank: int, world_size: int, interval: float, start_timeout: float, main: PeerLink) -> None:
        self._rank = rank
        self._world_size = world_size
        self._interval = interval
        self._start_timeout = start_timeout
        self._links: list[PeerLink] = []
        self._missing = set(range(1, world_size)) if rank == 0 else set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(main, selectors.EVENT_READ, self._obey)
        self._finished = self._over = False
        self._doors: list[PeerDoor] = []  # one on rank 0
        self._sentence = ''
        self._end_at = float('inf')

    def add(self, link: PeerLink) -> None:
        """Watch the process at the other end."""
        self._links.append(link)
        self._missing.discard(link.rank)
        self._selector.register(link, selectors.EVENT_READ, self._listen)

    def expect(self, servers: list[socket.socket], token: str) -> None:
        """Take in those who come to ``servers``, which become the loop's own, and know the token, until all have."""
        self._doors = [
            PeerDoor(servers, token, self._world_size, BEATS_OF_PATIENCE, self._selector, self._welcome)]

    def run(self) -> None:
        """Listen, and say at each beat that this process lives, until all have finished or this one has failed."""
        start = time.monotonic()
        next_beat = start + self._interval
        while not self._over:
            # What has arrived is heard before silence is judged: this process may have been stopped meanwhile.
            for key, _ in self._selector.select(max(min(next_beat, self._end_at) - time.monotonic(), 0)):
                key.data(key.fileobj)
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + self._interval
                self._beat()
                self._count(now - start)
            if now >= self._end_at and not self._over:
                end_process(self._sentence)
        self.close()

    def close(self) -> None:
        """Close this process's end of all connections."""
        for link in self._links:
            link.close()
        for door in self._doors:
            door.close()
        self._selector.close()

    def _beat(self) -> None:
        for door in self._doors:
            door.beat()
        for link in self._links:
            link.say('beat')
            link.silent_beats += 1
            if link.silent_beats > BEATS_OF_PATIENCE:
                self._lose(f'Rank {link.rank} on {link.host} has been silent for '
                           f'{BEATS_OF_PATIENCE * self._interval:.0f} s: its machine or the network is down')

    def _count(self, seconds: float) -> None:
        """Say who is still missing, and that it is enough."""
        ranks = ', '.join(str(rank) for rank in sorted(self._missing))
        beats = round(seconds / self._interval)
        if ranks and seconds >= self._start_timeout:
            self._lose(f'Rank {ranks} of {self._world_size} processes did not come within '
                       f'{self._start_timeout:.0f} s, and its machine shows why')
        elif ranks and beats % BEATS_OF_PATIENCE == 0:
            say(f'Waiting for rank {ranks} of {self._world_size} processes since {seconds:.0f} s, until '
                f'{self._start_timeout:.0f} s.')

    def _welcome(self, link: PeerLink, words: list[list]) -> None:
        self.add(link)
        if not self._missing:
            for door in self._doors:
                door.shut()
        self._act_on(words, link)

    def _listen(self, link: PeerLink) -> None:
        self._act_on(link.hear(), link)
        if link.closed:
            self._selector.unregister(link)
            self._lose(f'Rank {link.rank} on {link.host} has died: it closed its connection without a goodbye')

    def _act_on(self, words: list[list], link: PeerLink) -> None:
        for kind, *details in words:
            if kind == 'finished':
                link.finished = True
                self._let_go()
            elif kind == 'failed':
                self._lose(f'Rank {link.rank} on {link.host} has stopped with an error, which its own output shows',
                           self._interval)
            elif kind == 'lost':
                self._lose(*details)
            elif kind == 'all finished':
                self._over = True

    def _obey(self, main: PeerLink) -> None:
        for (kind, ) in main.hear():
            for link in self._links:
                link.say(kind)
            self._finished = kind == 'finished'
            self._over = kind == 'failed'
            self._let_go()

    def _let_go(self) -> None:
        if self._rank == 0 and self._finished and not self._missing and all(link.finished for link in self._links):
            for link in self._links:
                link.say('all finished')
            self._over = True

    def _lose(self, loss: str, seconds: float = 0) -> None:
        """End soon: after ``seconds``, in which this process may show an error of its own."""
        if self._sentence:  # what follows from the first loss
            return
        self._sentence = (f'{loss}; the training ends here, and goes on from its last checkpoint when it is started '
                          'again with --resume, on fewer machines if need be.')
        self._end_at = time.monotonic() + seconds
        if self._rank == 0:
            for link in self._links:
                link.say('lost', loss, seconds)
