"""One connection between two processes of a training, and the words that go over it."""

import json
import socket
from contextlib import suppress
from typing import Any

_RECEIVE_BYTES = 65536


class PeerLink:
    """Words to and from one other process: lines of JSON over a stream, neither said nor heard by waiting.

    Args:
        connection: A connected stream socket; it becomes the link's own.
        rank, host: Of the other process; -1 where it has not told yet.

    Attributes:
        silent_beats: Beats of this process since the other's last word, counted by whoever watches.
        finished: Whether the other has said that it has finished, noted by whoever watches.
        closed: Whether the other's end is closed, as it is when its process has died.
    """

    def __init__(self, connection: socket.socket, rank: int = -1, host: str = '') -> None:
        self.rank = rank
        self.host = host
        self.silent_beats = 0
        self.finished = False
        self.closed = False
        self._socket = connection
        self._socket.setblocking(False)
        self._unread = b''

    def fileno(self) -> int:
        """The file descriptor, for a selector."""
        return self._socket.fileno()

    def say(self, *word: Any) -> None:
        """Send a word of strings and numbers. It is lost if the other is gone, or has not listened for long."""
        with suppress(OSError):  # a closed connection is heard, and a full one is silent
            self._socket.send(json.dumps(word).encode() + b'\n')

    def hear(self) -> list[list]:
        """The words that have arrived, each as the list of its parts; notes the end of the stream in ``closed``."""
        try:
            received = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError:  # reset: the other's process or machine has died
            received = b''
        *lines, self._unread = (self._unread + received).split(b'\n')
        self.silent_beats = 0
        try:
            words = [_word(line) for line in lines]
        except (ValueError, RecursionError):  # a stranger
            words, received = [], b''
        self.closed = not received or len(self._unread) > _RECEIVE_BYTES
        return words

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def _word(line: bytes) -> list:
    word = json.loads(line)
    if not isinstance(word, list):
        raise ValueError(f'{word!r} is no word.')
    return word
