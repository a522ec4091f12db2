"""Bytes and seconds of a training, worked out by hand."""

from dataclasses import replace

import pytest
from made_facts import GIB, IMAGES, MEASURED, facts

from clim_mm.preflight.forecast import kept_checkpoints, pipelined_seconds

N = 1_281_167


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
    assert refresh.cluster == pytest.approx(21 * 2 * N * 10_000 * 128 / 2e13)
    assert refresh.search == pytest.approx(2 * N * N * 128 / 1e13)
    assert refresh.seconds == refresh.extract + refresh.cluster + refresh.search
    assert refresh.share == pytest.approx(refresh.seconds / (5 * 2502 * 0.2 + refresh.seconds))


def test_search_in_search_lists():
    refresh = facts(refresh=dict(exact=False)).forecast.refresh
    assert refresh.search == pytest.approx(2 * N * (32 * N / 10_000) * 128 / 1e13)
    # Usually five iterations on 64 images a centre, three on all, and the assignment.
    assert refresh.cluster == pytest.approx(2 * (5 * 640_000 + 4 * N) * 10_000 * 128 / 2e13)


@pytest.mark.parametrize('start, begin, refreshes, extractions', [
    (0, 0, 40, 1), (0, 5, 39, 0), (150, 0, 10, 0), (0, 0, 0, 0)])
def test_a_bank_is_extracted_for_once(start, begin, refreshes, extractions):
    plan = facts(dict(start_epoch=start), refresh=dict(from_bank=True, begin=begin, num_refreshes=refreshes)).forecast
    refresh = plan.refresh
    assert refresh.extractions == extractions and refresh.extract == pytest.approx(80_073 * 0.01 / 8)
    found = refresh.cluster + refresh.search
    assert refresh.seconds == pytest.approx(found)
    in_refreshes = refreshes * found + extractions * refresh.extract
    assert plan.training == pytest.approx((200 - start) * plan.epoch + in_refreshes)
    assert refresh.bank_bytes == N * (128 * 4 + 4 + 4)
    assert refresh.share == pytest.approx(found / (5 * 2502 * 0.2 + found))


def test_without_a_bank_each_refresh_extracts():
    refresh = facts().forecast.refresh
    assert (refresh.extractions, refresh.bank_bytes) == (40, 0)


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
    assert refresh.feature_bytes == refresh.index_bytes == features
    assert refresh.table_bytes == 8 * N * 10 * 4
    # Rank 0 has all and its own sixteenth, seven others theirs, and all their ids; of blocks those hold two on the way.
    gathering = features * (1 + 8 / 16) + N * 8 * (2 + 8 / 16) + (33 + 7 * 2) * 2**28 / 16
    searching = 2 * features + N * (16 * 56 + 40) + 48 * 40 * 65_536
    assert refresh.host_bytes == searching > gathering
    other = facts(measured=dict(extraction=replace(MEASURED.extraction, dim=2048))).forecast.refresh
    gathering += 15 * (features * (1 + 8 / 16))
    assert other.host_bytes == 15 * 2 * features + searching > gathering


def test_pooled_features_of_imagenet_fit_where_two_copies_do():
    """10.5 GB, of which five copies were told where two are there."""
    pooled = dict(extraction=replace(MEASURED.extraction, dim=2048))
    needed = facts(dict(processes=1, local_processes=1), measured=pooled).forecast.refresh.host_bytes
    assert needed == pytest.approx(22.3e9, rel=0.02)
    # One image that cannot be read makes a refresh copy the features of the others.
    on_host = dict(pooled, search=replace(MEASURED.search, on_gpu=False))
    with_all, without = (
        facts(measured=on_host, images=replace(IMAGES, unreadable=number)).forecast.refresh.host_bytes
        for number in (0, 1))
    assert without - with_all == N * 2048 * 4


def test_disk():
    plan = facts().forecast
    model = 2 * 112_000_000 + 500_000 + 33_554_432
    assert plan.checkpoint_bytes == model + 112_000_000 + N * 10 * 4 + 10_000 * 128 * 4
    assert plan.disk_bytes == 4 * plan.checkpoint_bytes


def test_without_neighbours():
    plan = facts(dict(refresh=None), measured=dict(extraction=None, search=None)).forecast
    assert plan.refresh is None
    assert plan.training == pytest.approx(200 * plan.epoch)
    assert plan.checkpoint_bytes == 2 * 112_000_000 + 500_000 + 33_554_432 + 112_000_000


def test_what_was_not_measured_is_unknown():
    plan = facts(measured=dict(loading=None, step=None, extraction=None, search=None)).forecast
    assert (plan.compute, plan.load, plan.step, plan.epoch, plan.training) == (None, ) * 5
    assert plan.refresh is None and plan.optimizer_bytes is None and plan.activation_bytes is None
    assert plan.training_bytes == 3 * 112_000_000 + 500_000 + 33_554_432


def test_a_refresh_without_a_step_has_no_share():
    plan = facts(measured=dict(step=None)).forecast
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
    seconds = pipelined_seconds(compute, load, 8, num_workers, cores, processes, busy)
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
