"""Real processes watch each other; one of them dies, falls silent, fails, computes for long, or finishes first."""

import os
import re
import signal
import socket
import time
from contextlib import ExitStack

import numpy as np
import pytest
import torch
import torch.distributed as torch_dist
from gloo import free_port
from processes import started, wait_until

from clim_mm.distributed.peer_watch import PeerWatch
from clim_mm.errors import ConfigError, sentence
from clim_mm.neighbors import cluster

pytestmark = pytest.mark.e2e  # real processes that wait for each other for seconds

PATIENCE = 2.0  # seconds; a beat each quarter of a second
HANGS = 120  # seconds after which a process counts as hanging
TAIL = ('; the training ends here, and goes on from its last checkpoint when it is started again with --resume, '
        'on fewer machines if need be.')


def member(folder, rank, world_size, work, start_timeout, patience, port, serves):
    """What tools/train.py does around a training, which is ``work(folder, rank)``; then ``over.RANK`` is there."""
    torch.set_num_threads(1)
    store = torch_dist.TCPStore('localhost', port, is_master=serves, wait_for_workers=False)
    try:
        with PeerWatch(store, rank, world_size, serves, patience, start_timeout):
            (folder / f'working.{rank}').touch()
            work(folder, rank)
    except ConfigError as error:
        raise SystemExit(f'Error: {sentence(error)}') from None
    (folder / f'over.{rank}').touch()


class Members:
    """The processes of one training, by rank."""

    def __init__(self, folder, processes, port):
        self.folder = folder
        self.port = port
        self.processes = processes

    def all_working(self):
        """Wait until each is at work, and has seen that the next is."""
        wait_until(lambda: len(list(self.folder.glob('working.*'))) == len(self.processes))
        time.sleep(PATIENCE / 4)

    def send(self, rank, number):
        """Send a signal."""
        os.kill(self.processes[rank].pid, number)

    def end_of(self, rank):
        """Exit status and output of a process that ends."""
        self.processes[rank].join(HANGS)
        output = (self.folder / f'output.{rank}').read_text()
        assert self.processes[rank].exitcode is not None, f'rank {rank} goes on: {output}'
        return self.processes[rank].exitcode, output


@pytest.fixture
def members(tmp_path):
    """Start the processes of a training: ``members(world_size, work)``, or only those of ``ranks``.

    Their store is here, as torchrun has it; or in the process of rank 0 that ``serves``.
    """
    with ExitStack() as stack:

        def start(world_size, work, ranks=None, start_timeout=60, patience=PATIENCE, serves=False):
            ranks = range(world_size) if ranks is None else ranks
            if serves:
                port = free_port()
            else:
                stack.store = torch_dist.TCPStore('localhost', 0, is_master=True, wait_for_workers=False)
                port = stack.store.port
            processes = stack.enter_context(started(
                [(member, (tmp_path, rank, world_size, work, start_timeout, patience, port, serves and rank == 0))
                 for rank in ranks],
                [tmp_path / f'output.{rank}' for rank in ranks]))
            return Members(tmp_path, dict(zip(ranks, processes, strict=True)), port)

        yield start


def wait(folder, rank):
    time.sleep(600)


def told(rank, how):
    """All that a process may say."""
    return f'\nError: Rank {rank} on {socket.gethostname()} {how}{TAIL}\n'


SILENT = 'has been silent for 2 s: it was killed, or its machine or the network is down'
FAILED = 'has stopped with an error, which its own output shows'


STORE_SILENT = f'\nError: The store of rank 0 {SILENT}{TAIL}\n'
STORE_GONE = f'\nError: Rank 0, or the torchrun on its machine, is gone{TAIL}\n'


@pytest.mark.parametrize('serves', [False, True])
@pytest.mark.parametrize('victim', [0, 2])
def test_when_one_is_killed_the_others_end_and_say_which(members, victim, serves):
    training = members(3, wait, serves=serves)
    training.all_working()
    training.send(victim, signal.SIGKILL)
    killed = time.monotonic()
    for rank in {0, 1, 2} - {victim}:
        status, said = training.end_of(rank)
        if victim == 0 and serves:
            said = said[said.index('\nError: '):]  # torch shows a stack of its own before it
        assert (status, said) == (1, STORE_GONE if victim == 0 and serves else told(victim, SILENT))
    assert time.monotonic() - killed < 4 * PATIENCE


@pytest.mark.parametrize(('victim', 'serves'), [(0, False), (0, True), (1, False)])
def test_a_machine_that_falls_silent_is_gone_and_must_not_go_on_when_it_is_back(members, victim, serves):
    training = members(3, wait, serves=serves)
    training.all_working()
    training.send(victim, signal.SIGSTOP)
    stopped = time.monotonic()
    for rank in {0, 1, 2} - {victim}:
        assert training.end_of(rank) == (1, STORE_SILENT if serves else told(victim, SILENT))
    assert time.monotonic() - stopped > PATIENCE - 0.25
    assert training.processes[victim].exitcode is None
    training.send(victim, signal.SIGCONT)
    status, said = training.end_of(victim)
    assert status == 1 and said.endswith(TAIL + '\n')
    assert not list(training.folder.glob('over.*'))


def test_all_stopped_and_continued_is_no_alarm(members):
    training = members(2, until_told)
    training.all_working()
    for rank in (0, 1):
        training.send(rank, signal.SIGSTOP)
    time.sleep(2 * PATIENCE)
    for rank in (1, 0):
        training.send(rank, signal.SIGCONT)
        time.sleep(PATIENCE / 2)
    (training.folder / 'go on').touch()
    for rank in (0, 1):
        assert training.end_of(rank) == (0, '')


def until_told(folder, rank):
    wait_until((folder / 'go on').exists)


@pytest.mark.parametrize(('last', 'serves'), [(0, False), (1, False), (1, True)])
def test_who_has_finished_waits_for_the_others_without_an_alarm(members, last, serves):
    training = members(3, last_of_0 if last == 0 else last_of_1, serves=serves)
    training.all_working()
    time.sleep(1.5 * PATIENCE)
    assert not list(training.folder.glob('over.*'))
    (training.folder / 'go on').touch()
    assert [training.end_of(rank) for rank in range(3)] == [(0, '')] * 3


def last_of_0(folder, rank):
    if rank == 0:
        until_told(folder, rank)


def last_of_1(folder, rank):
    if rank == 1:
        until_told(folder, rank)


def test_who_has_finished_is_not_left_waiting_by_a_death(members):
    training = members(3, last_of_1)
    training.all_working()
    training.send(1, signal.SIGKILL)
    for rank in (0, 2):
        assert training.end_of(rank) == (1, told(1, SILENT))


def test_clustering_for_longer_than_the_patience_is_no_alarm(members):
    training = members(2, cluster_on_rank_0)
    for rank in (0, 1):
        assert training.end_of(rank) == (0, '')


def cluster_on_rank_0(folder, rank):
    if rank == 0:
        features = np.random.default_rng(0).standard_normal((4000, 64)).astype(np.float32)
        end = time.monotonic() + 1.5 * PATIENCE
        while time.monotonic() < end:
            cluster(features, 200, seed=0)


def test_an_error_of_one_ends_the_others_and_only_it_shows_the_error(members):
    training = members(3, fail_on_rank_1)
    status, said = training.end_of(1)
    assert status == 1 and 'ValueError: a fault of rank 1' in said and TAIL not in said
    for rank in (0, 2):
        assert training.end_of(rank) == (1, told(1, FAILED))


def fail_on_rank_1(folder, rank):
    if rank == 1:
        wait_until(lambda: (folder / 'working.0').exists() and (folder / 'working.2').exists())
        raise ValueError('a fault of rank 1')
    wait(folder, rank)


def test_processes_with_the_same_error_each_show_it(members):
    training = members(3, refuse, patience=4 * PATIENCE)
    for rank in range(3):
        assert training.end_of(rank) == (1, f'Error: queue_len is wrong on rank {rank}.\n')


def refuse(folder, rank):
    wait_until(lambda: all((folder / f'working.{other}').exists() for other in range(3)))
    time.sleep(0.1 * rank)
    raise ConfigError(f'queue_len is wrong on rank {rank}.')


@pytest.mark.parametrize('victim', [0, 1])
def test_a_collective_that_fails_by_a_death_ends_in_the_sentence_alone(members, victim):
    training = members(2, reduce_for_ever)
    training.all_working()
    wait_until(lambda: len(list(training.folder.glob('reduced.*'))) == 2)
    training.send(victim, signal.SIGKILL)
    assert training.end_of(1 - victim) == (1, told(victim, SILENT))


def reduce_for_ever(folder, rank):
    join_gloo(folder, rank)
    while True:
        torch_dist.all_reduce(torch.zeros(10000))
        (folder / f'reduced.{rank}').touch()


def join_gloo(folder, rank):
    store = torch_dist.FileStore(str(folder / 'gloo'), 2)
    torch_dist.init_process_group('gloo', store=store, rank=rank, world_size=2)
    torch_dist.barrier()


@pytest.mark.parametrize(('end', 'how'), [('death', SILENT), ('error', FAILED)])
def test_a_collective_that_fails_before_the_cause_is_known_ends_in_the_sentence_alone(members, end, how):
    training = members(2, leave_and_die if end == 'death' else leave_and_fail)
    assert training.end_of(0) == (1, told(1, how))


def leave_and_die(folder, rank):
    join_gloo(folder, rank)
    if rank == 0:
        torch_dist.all_reduce(torch.zeros(10))
    torch_dist.destroy_process_group()  # here rank 0 has its RuntimeError
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def leave_and_fail(folder, rank):
    join_gloo(folder, rank)
    if rank == 0:
        torch_dist.all_reduce(torch.zeros(10))
    raise ValueError('a fault of rank 1')


def test_a_runtime_error_of_ones_own_is_shown(members):
    training = members(2, wrong_shapes)
    status, said = training.end_of(1)
    assert status == 1 and re.search(r'RuntimeError: .*mat1 and mat2', said) and TAIL not in said
    assert training.end_of(0) == (1, told(1, FAILED))


def wrong_shapes(folder, rank):
    if rank == 1:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    wait(folder, rank)


def test_who_does_not_come_is_not_waited_for_for_ever(members):
    training = members(3, wait, ranks=[0, 2], start_timeout=5)
    missed = f'\nError: Rank 1 of 3 processes did not come within 5 s, and its machine shows why{TAIL}\n'
    assert [training.end_of(0), training.end_of(2)] == [(1, missed)] * 2
