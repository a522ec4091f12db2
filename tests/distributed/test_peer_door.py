"""Who comes in at the port of rank 0: over real sockets, by a real loop's steps."""

import os
import resource
import selectors
import socket
from contextlib import contextmanager

import pytest

from clim_mm.distributed.peer_door import _MOST_STRANGERS, PeerDoor

PATIENCE = 3  # beats
GREETING = b'["token", 1, "there"]\n'


class Door:
    """A door, who came in by it, and a loop that is moved on by hand."""

    def __init__(self):
        self.server = socket.create_server(('127.0.0.1', 0), backlog=1024)
        self.selector = selectors.DefaultSelector()
        self.come = []
        self.door = PeerDoor([self.server], 'token', 2, PATIENCE, self.selector, self.welcome)
        self.visitors = []

    def welcome(self, link, words):  # noqa: D102
        self.come.append((link.rank, link.host, words))
        link.close()

    def visitor(self):
        """A new connection from outside."""
        self.visitors.append(socket.create_connection(self.server.getsockname(), 5))
        return self.visitors[-1]

    def work(self):
        """Call what is ready until nothing is."""
        for _ in range(1000):
            if not (events := self.selector.select(0.01)):
                return
            for key, _ in events:
                key.data(key.fileobj)
        raise AssertionError('The loop goes round and round.')

    def sent_away(self, visitor):
        """Whether its connection has been closed."""
        visitor.settimeout(0.02)
        try:
            return visitor.recv(10) == b''
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


@pytest.fixture
def at():
    door = Door()
    yield door
    door.door.close()
    door.selector.close()
    for visitor in door.visitors:
        visitor.close()


def test_who_knows_the_token_is_welcome_with_all_that_it_says(at):
    at.visitor().sendall(GREETING + b'["beat"]\n["finished"]\n')
    at.work()
    assert at.come == [(1, 'there', [['beat'], ['finished']])]


@pytest.mark.parametrize('noise', [
    b'GET / HTTP/1.1\r\n\r\n', b'["beat"]\n', b'["wrong", 1, "there"]\n', b'7\n', b'[]\n', b'\xff\xfe\n', b'[' * 70000,
    b'["wrong"]\n' + GREETING, b'\0' * 200000,
])
def test_who_says_something_else_is_sent_away(at, noise):
    stranger = at.visitor()
    stranger.setblocking(False)
    stranger.send(noise)
    at.work()
    assert at.sent_away(stranger) and at.come == []


def test_who_does_not_greet_in_time_is_sent_away_however_slowly_it_speaks(at):
    silent, slow = at.visitor(), at.visitor()
    for letter in b'["to':
        slow.sendall(bytes([letter]))
        at.work()
        assert not at.sent_away(silent) and not at.sent_away(slow)
        at.door.beat()
    assert at.sent_away(silent) and at.sent_away(slow)
    late = at.visitor()
    at.door.beat()
    late.sendall(GREETING)
    at.work()
    assert len(at.come) == 1


def test_of_too_many_strangers_the_first_are_sent_away_and_a_process_still_comes_in(at):
    strangers = []
    for _ in range(3):
        strangers += [at.visitor() for _ in range(100)]
        at.work()
    assert sum(map(at.sent_away, strangers[:100])) == 100
    assert not any(map(at.sent_away, strangers[-5:]))
    assert len(at.selector.get_map()) == 1 + 2 + _MOST_STRANGERS
    at.visitor().sendall(GREETING)
    at.work()
    assert len(at.come) == 1


def test_without_file_descriptors_the_door_pauses_until_the_next_beat(at):
    at.visitor().sendall(GREETING)
    with no_more_descriptors():
        at.work()
    assert at.come == []
    at.door.beat()
    at.work()
    assert len(at.come) == 1


def test_without_file_descriptors_strangers_make_room(at):
    strangers = [at.visitor() for _ in range(3)]
    at.work()
    at.visitor().sendall(GREETING)
    with no_more_descriptors():
        at.work()
    assert len(at.come) == 1 and [at.sent_away(stranger) for stranger in strangers] == [True, False, False]


@contextmanager
def no_more_descriptors():
    """Only one that is closed can be opened again."""
    last = max(map(int, os.listdir('/proc/self/fd')))
    fillers = [os.dup(0)]
    while fillers[-1] <= last:
        fillers.append(os.dup(0))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for filler in fillers:
            os.close(filler)


def test_once_shut_nobody_comes_in_and_what_was_ready_does_no_harm(at):
    visitor, late = at.visitor(), at.visitor()
    visitor.sendall(GREETING)
    at.work()
    waiting = at.visitor()
    at.selector.register(late, selectors.EVENT_WRITE)  # something else that the loop has
    late.sendall(b'["too l')
    ready = [(key.data, key.fileobj) for key, _ in at.selector.select(0.2) if key.data]
    at.door.shut()
    for call, end in ready:
        call(end)
    at.door.beat()
    assert len(at.come) == 1 and list(at.selector.get_map()) == [late.fileno()]
    assert at.sent_away(waiting) and at.sent_away(late)
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(visitor.getpeername())
