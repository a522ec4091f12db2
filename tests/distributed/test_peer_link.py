"""Words between two processes, over a real pair of sockets."""

import socket

import pytest

from clim_mm.distributed.peer_link import PeerLink


@pytest.fixture
def pair():
    """A link, and the bare socket at its other end."""
    end, other = socket.socketpair()
    link = PeerLink(end, rank=3, host='there')
    yield link, other
    link.close()
    other.close()


def test_words_arrive_whole_and_in_order_however_they_are_cut(pair):
    link, other = pair
    assert link.hear() == [] and not link.closed  # nothing is there: no waiting
    other.sendall(b'["lost", "a \\u00fc b", 1.5]\n["be')
    assert link.hear() == [['lost', 'a ü b', 1.5]]
    other.sendall(b'at"]\n["finished"]\n')
    assert link.hear() == [['beat'], ['finished']]
    assert not link.closed


def test_what_one_says_the_other_hears():
    ends = socket.socketpair()
    one, other = PeerLink(ends[0]), PeerLink(ends[1])
    one.say('beat')
    one.say('lost', 'words\nof two lines', 0)
    other.silent_beats = 5
    assert other.hear() == [['beat'], ['lost', 'words\nof two lines', 0]]
    assert other.silent_beats == 0
    one.close()
    assert other.hear() == [] and other.closed
    other.say('beat')  # to nobody: no error
    other.close()


def test_the_last_words_before_the_end_are_heard(pair):
    link, other = pair
    other.sendall(b'["failed"]\n')
    other.close()
    assert link.hear() == [['failed']] and not link.closed
    assert link.hear() == [] and link.closed


def test_a_partner_that_does_not_listen_keeps_nobody_waiting(pair):
    link, _ = pair
    for _ in range(10000):
        link.say('beat', 'x' * 100)
    assert not link.closed


@pytest.mark.parametrize('noise', [
    b'GET / HTTP/1.0\r\n\r\n', b'\xff\xfe\n', b'5\n', b'[' * 60000 + b'\n', b'x' * 70000
])
def test_a_stranger_is_not_listened_to(pair, noise):
    link, other = pair
    other.settimeout(5)
    other.sendall(noise)
    assert link.hear() + link.hear() == []
    assert link.closed
