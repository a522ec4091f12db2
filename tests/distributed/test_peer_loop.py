"""When rank 0 lets the others go, and when it does not."""

import socket

import pytest

from clim_mm.distributed import peer_loop
from clim_mm.distributed.peer_link import PeerLink
from clim_mm.distributed.peer_loop import PeerLoop


class EndedError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def linked(monkeypatch):
    """A loop of rank 0 whose process would end by an error, and the ends of its main thread and of ranks 1 and 2."""

    def end(sentence):
        raise EndedError(sentence)

    monkeypatch.setattr(peer_loop, 'end_process', end)
    pairs = [[PeerLink(end, rank, f'machine {rank}') for end in socket.socketpair()] for rank in range(3)]
    loop = PeerLoop(0, 3, interval=60, start_timeout=60, main=pairs[0][0])
    for ours, _ in pairs[1:]:
        loop.add(ours)
    yield loop, [others for _, others in pairs]
    loop.close()
    for _, others in pairs:
        others.close()
    pairs[0][0].close()


def test_all_are_let_go_when_all_have_finished(linked):
    loop, (main, first, second) = linked
    for link in (first, main, second):
        link.say('finished')
    loop.run()
    assert [first.hear(), second.hear()] == [[['finished'], ['all finished']]] * 2


def test_nobody_is_let_go_while_one_is_at_work(linked):
    loop, (main, first, second) = linked
    first.say('finished')
    main.say('finished')
    second.close()
    with pytest.raises(EndedError, match='Rank 2 on machine 2 has died: it closed its connection without a goodbye'):
        loop.run()
    assert ['all finished'] not in first.hear()
