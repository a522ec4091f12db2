"""Where the processes of a training come in, and strangers do not."""

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

from .peer_link import PeerLink

_MOST_STRANGERS = 100


class PeerDoor:
    """Lets in those who come to a port and know the token.

    Anybody may come. Who says something else, or for long nothing, is sent away, and so is who has been there longest
    without the token when too many are: they hold a file descriptor each.

    Args:
        servers: Sockets that listen; they become the door's own.
        token: The first part of the word by which a process greets.
        world_size: So many may greet at once, and some strangers.
        patience: Beats in which one has to greet.
        selector: Calls what is registered with it with the socket.
        welcome: Called with the link to one who is let in, and all that it has said.
    """

    def __init__(self, servers: list[socket.socket], token: str, world_size: int, patience: int,
                 selector: selectors.BaseSelector, welcome: Callable[[PeerLink, list[list]], None]) -> None:
        self._servers = servers
        self._token = token
        self._most = world_size + _MOST_STRANGERS
        self._patience = patience
        self._selector = selector
        self._welcome = welcome
        self._strangers: dict[PeerLink, int] = {}  # beats since each came; the longest first
        for server in servers:
            server.setblocking(False)
        self._open()

    def beat(self) -> None:
        """Send away who has been silent for too long; to be called at each beat."""
        for link, beats in list(self._strangers.items()):
            self._strangers[link] += 1
            if beats >= self._patience:
                self._forget(link).close()
        self._open()

    def shut(self) -> None:
        """Send away all who have not greeted, and let nobody in from now on."""
        for link in list(self._strangers):
            self._forget(link).close()
        for server in self._servers:
            with suppress(KeyError):  # while it pauses
                self._selector.unregister(server)
        self.close()

    def close(self) -> None:
        """Close this process's end of all connections, and leave the selector alone, which a forked process shares."""
        for link in self._strangers:
            link.close()
        for server in self._servers:
            server.close()
        self._strangers, self._servers = {}, []

    def _open(self) -> None:
        for server in self._servers:
            if server not in self._selector.get_map():
                self._selector.register(server, selectors.EVENT_READ, self._accept)

    def _accept(self, server: socket.socket) -> None:
        if server not in self._servers:  # shut a moment ago
            return
        try:
            link = PeerLink(server.accept()[0])
        except (BlockingIOError, ConnectionError):  # whoever knocked is gone again
            return
        except OSError:  # too many open files, say
            if self._strangers:
                self._make_room()
            else:
                self._selector.unregister(server)  # until the next beat
            return
        if len(self._strangers) >= self._most:
            self._make_room()
        self._strangers[link] = 0
        self._selector.register(link, selectors.EVENT_READ, self._greet)

    def _make_room(self) -> None:
        first = next(iter(self._strangers))
        self._greet(first)  # it may have spoken just now
        if first in self._strangers:
            self._forget(first).close()

    def _greet(self, link: PeerLink) -> None:
        if link not in self._strangers:  # sent away a moment ago
            return
        words = link.hear()
        if words and words[0][:1] == [self._token]:
            _, link.rank, link.host = words[0]
            self._welcome(self._forget(link), words[1:])
        elif words or link.closed:
            self._forget(link).close()

    def _forget(self, link: PeerLink) -> PeerLink:
        self._selector.unregister(link)
        del self._strangers[link]
        return link
