"""Bytes and seconds of a training, worked out by hand, and what is free by Linux's files."""

import os
import shutil

import pytest
import torch
from made_facts import GIB, facts

from clim_mm.neighbors.refresh_cost import SearchSpeed
from clim_mm.preflight.forecast import (
    amount,
    available_memory,
    duration,
    kept_checkpoints,
    pipelined_seconds,
    this_machine,
)

N = 1_281_167
ON_HOST = SearchSpeed(1e11, 1e11, on_gpu=False)
MEMINFO = 'MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   22000000 kB\nBuffers: 5 kB\n'
KIB = 1024
NOTHING = dict(samples=0, load=None, compute=None, activation_bytes=None, optimizer_bytes=0, search=None)


def test_time_of_a_step():
    plan = facts().forecast
    assert plan.compute == pytest.approx(0.2)  # 16 images took 0.1 s, the batch has 32
    assert plan.load == pytest.approx(32 * 0.04 / 8)
    assert plan.step == pytest.approx(0.2)  # 8 processes x (0.2 + 1.28) core seconds on 128 cores are less
    assert plan.epoch == pytest.approx(2502 * 0.2)


def test_time_of_a_step_on_few_cores():
    plan = facts(machine=dict(cores=16)).forecast
    assert plan.step == pytest.approx(8 * (0.2 + 1.28) / 16)


def test_time_of_a_refresh():
    refresh = facts().forecast.refresh
    own_images = 80_073  # a sixteenth, rounded up
    # The encoder alone takes 40 s; 8 workers take 100 s; 8 processes' core seconds on 128 cores are 53 s.
    assert refresh.extract == pytest.approx(own_images * 0.01 / 8)
    assert refresh.search == pytest.approx(21 * 2 * N * 10_000 * 128 / 2e13 + 2 * N * N * 128 / 1e13)
    assert refresh.seconds == refresh.extract + refresh.search
    assert refresh.share == pytest.approx(refresh.seconds / (5 * 2502 * 0.2 + refresh.seconds))


def test_search_in_search_lists():
    refresh = facts(refresh=dict(exact=False)).forecast.refresh
    # Usually five iterations on 64 images a centre, three on all, and the assignment.
    clustering = 2 * (5 * 640_000 + 4 * N) * 10_000 * 128 / 2e13
    assert refresh.search == pytest.approx(clustering + 2 * N * (32 * N / 10_000) * 128 / 1e13)


def test_a_bank_needs_no_extraction_but_a_file():
    plan, without = facts(refresh=dict(from_bank=True)).forecast, facts().forecast
    assert plan.refresh.extract == 0 and plan.refresh.seconds == plan.refresh.search == without.refresh.search
    assert plan.disk_bytes == without.disk_bytes + N * (128 * 4 + 4 + 4)
    assert plan.training == pytest.approx(200 * plan.epoch + 40 * plan.refresh.search)


@pytest.mark.parametrize('start, refreshes', [(0, 40), (150, 10)])
def test_time_in_all(start, refreshes):
    plan = facts(dict(start_epoch=start), refresh=dict(num_refreshes=refreshes)).forecast
    assert plan.training == pytest.approx((200 - start) * plan.epoch + refreshes * plan.refresh.seconds)


def test_memory_of_training():
    plan = facts().forecast
    assert plan.activation_bytes == 8 * GIB
    assert plan.training_bytes == 2 * 112_000_000 + 500_000 + 33_554_432 + 2 * 112_000_000 + 8 * GIB


def test_memory_of_a_refresh():
    refresh = facts().forecast.refresh
    features = N * 128 * 4
    # Rank 0 has all and its own sixteenth, seven others theirs, and all their ids; of blocks those hold two on the way.
    gathering = features * (1 + 8 / 16) + N * 8 * (2 + 8 / 16) + (33 + 7 * 2) * 2**28 / 16
    searching = 2 * features + N * (16 * 56 + 40) + 48 * 40 * 65_536
    assert refresh.host_bytes == searching > gathering


def test_pooled_features_of_imagenet_fit_where_two_copies_do():
    """10.5 GB, of which five copies were told where two are there."""
    needed = facts(dict(processes=1, local_processes=1), measured=dict(dim=2048)).forecast.refresh.host_bytes
    assert needed == pytest.approx(22.3e9, rel=0.02)
    # One image that cannot be read makes a refresh copy the features of the others.
    without, with_all = (facts(measured=dict(dim=2048, unreadable=paths)).forecast.refresh.host_bytes
                         for paths in (('a.jpg', ), ()))
    assert without - with_all == N * 2048 * 4


def test_disk():
    plan = facts().forecast
    model = 2 * 112_000_000 + 500_000 + 33_554_432
    assert plan.checkpoint_bytes == model + 112_000_000 + N * 10 * 4 + 10_000 * 128 * 4
    assert plan.disk_bytes == 4 * plan.checkpoint_bytes


def test_without_neighbours():
    plan = facts(dict(refresh=None), measured=dict(search=None)).forecast
    assert plan.refresh is None
    assert plan.training == pytest.approx(200 * plan.epoch)
    assert plan.checkpoint_bytes == 2 * 112_000_000 + 500_000 + 33_554_432 + 112_000_000


def test_what_was_not_measured_is_unknown():
    plan = facts(measured=NOTHING).forecast
    assert (plan.compute, plan.load, plan.step, plan.epoch, plan.training) == (None, ) * 5
    assert plan.refresh is None and plan.activation_bytes is None
    assert plan.training_bytes == 3 * 112_000_000 + 34_054_432


def test_a_refresh_without_a_step_has_no_share():
    plan = facts(measured=dict(compute=None)).forecast
    assert plan.refresh.share is None and plan.refresh.seconds > 0 and plan.training is None
    assert facts(dict(steps=0)).forecast.refresh.share is None


@pytest.mark.parametrize('compute, load, num_workers, cores, processes, busy, expected', [
    (1.0, 0.1, 4, 100, 1, 1, 1.0),  # the model: 8 samples take 4 workers 0.2 s
    (0.1, 0.1, 4, 100, 1, 1, 0.2),  # the workers
    (0.1, 0.1, 0, 100, 1, 1, 0.9),  # no workers: one after the other
    (1.0, 0.1, 4, 2, 1, 2, 1.4),  # the cores: 1.0 s on two and 0.8 s on one, for two
    (1.0, 0.1, 4, 2, 4, 0.5, 2.6),  # four processes: 4 x (0.5 + 0.8) core seconds
])
def test_the_slowest_part_counts(compute, load, num_workers, cores, processes, busy, expected):
    seconds = pipelined_seconds(compute, 8 * load, num_workers, cores / processes, busy)
    assert seconds == pytest.approx(expected)


@pytest.mark.parametrize('epochs, interval, keep, expected', [
    (20, 5, 3, 4),  # three, and the fourth being written
    (20, 5, -1, 4),
    (20, 3, -1, 7),  # epochs 3, 6, 9, 12, 15, 18 and the last
    (20, 10, 3, 2),
    (20, 50, 3, 1),
    (20, 0, 3, 1),
])
def test_kept_checkpoints(epochs, interval, keep, expected):
    assert kept_checkpoints(epochs, interval, keep) == expected


@pytest.mark.parametrize('limit, used, statistics, expected', [
    ('', '', '', 22_000_000 * KIB),
    ('max\n', '100\n', '', 22_000_000 * KIB),
    ('8000\n', '3000\n', 'file 2000\ninactive_file 1000\nactive_file 7\n', 6000),
    ('8000\n', '9000\n', '', 0),
    (f'{30_000_000 * KIB}\n', '0\n', '', 22_000_000 * KIB),
])
def test_the_smaller_of_machine_and_container(limit, used, statistics, expected):
    assert available_memory(MEMINFO, limit, used, statistics) == expected


def test_a_system_that_does_not_tell():
    assert available_memory('') is None
    assert available_memory('', '8000', '3000') == 5000


def test_free_disk_of_a_folder_to_come(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    cpu = torch.device('cpu')
    assert this_machine(cpu, str(tmp_path / 'not' / 'there' / 'yet')).free_disk == pytest.approx(free, rel=0.1)
    assert this_machine(cpu, 's3://bucket/folder').free_disk is this_machine(cpu, 's3:bucket').free_disk is None


def test_this_machine(tmp_path):
    machine = this_machine(torch.device('cpu'), str(tmp_path))
    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.gpu is None and machine.gpu_memory is None
    assert machine.free_disk == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    assert 0 < machine.free_memory <= total


@pytest.mark.parametrize('seconds, text', [
    (None, 'unknown'), (0.01234, '0.012 s'), (0.351, '0.35 s'), (59, '59 s'), (100, '0:01:40'),
    (104_645, '1 day, 5:04:05')])
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize('number, text', [
    (None, 'unknown'), (0, '0 MiB'), (1536, '0.00146 MiB'), (655_957_504, '626 MiB'), (999.4 * 2**20, '999 MiB'),
    (1000 * 2**20, '0.977 GiB'), (2**30 * 1.25, '1.25 GiB')])
def test_amount(number, text):
    assert amount(number) == text
