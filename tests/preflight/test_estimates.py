"""The arithmetic, by hand and against what the code it stands for really does."""

import pytest
from torch.utils.data import BatchSampler

from clim_mm.preflight import estimates

IMAGENET, DIM, CENTRES = 1_281_167, 128, 10_000


@pytest.mark.parametrize('num_images', [1, 7, 24, 25, 203])
@pytest.mark.parametrize('processes', [1, 2, 3])
@pytest.mark.parametrize('drop_last', [True, False])
@pytest.mark.parametrize('round_up', [True, False])
def test_steps_are_those_of_the_framework(num_images, processes, drop_last, round_up):
    from mmengine.dataset import DefaultSampler
    sampler = DefaultSampler(range(num_images), round_up=round_up)
    # As its last process sees it: MMEngine reads the number of processes from the process group.
    sampler.rank, sampler.world_size = processes - 1, processes
    rest = num_images - (processes - 1)
    sampler.num_samples = -(-num_images // processes) if round_up else -(-rest // processes)
    steps = len(BatchSampler(range(sampler.num_samples), 8, drop_last))
    assert estimates.steps_per_epoch(num_images, 8, processes, drop_last, round_up) == steps


def test_steps_of_imagenet_and_of_a_set_below_one_batch():
    assert estimates.steps_per_epoch(IMAGENET, 32, 16, drop_last=True) == 2502
    assert estimates.steps_per_epoch(IMAGENET, 32, 16, drop_last=False) == 2503
    assert estimates.steps_per_epoch(31, 32, 1, drop_last=True) == 0


def test_optimizer_steps():
    assert estimates.optimizer_steps(10, epochs=3, accumulation=4) == 9  # 4 + 4 + 2 batches an epoch
    assert estimates.optimizer_steps(10, epochs=3, accumulation=1) == 30


@pytest.mark.parametrize('first, expected', [(0, [2, 7, 12, 17]), (7, [7, 12, 17]), (8, [12, 17]), (18, [])])
def test_refreshes_still_to_come(first, expected):
    assert estimates.refreshes_between(first, max_epochs=20, begin=2, interval=5) == len(expected)


def test_refreshes_of_a_training_without_an_end_are_counted_at_once():
    assert estimates.refreshes_between(7, max_epochs=10**30, begin=2, interval=5) == 2 * 10**29 - 1
    assert estimates.refreshes_between(10**12, max_epochs=4, begin=2, interval=5) == 0


@pytest.mark.parametrize('compute, load, num_workers, cores, processes, busy, expected', [
    (1.0, 0.1, 4, 100, 1, 1, 1.0),  # the model: 8 samples take 4 workers 0.2 s
    (0.1, 0.1, 4, 100, 1, 1, 0.2),  # the workers
    (0.1, 0.1, 0, 100, 1, 1, 0.9),  # no workers: one after the other
    (1.0, 0.1, 4, 2, 1, 2, 1.4),  # the cores: 1.0 s on two and 0.8 s on one, for two
    (1.0, 0.1, 4, 2, 4, 0.5, 2.6),  # four processes: 4 x (0.5 + 0.8) core seconds
])
def test_the_slowest_part_counts(compute, load, num_workers, cores, processes, busy, expected):
    seconds = estimates.pipelined_seconds(compute, load, 8, num_workers, cores, processes, busy)
    assert seconds == pytest.approx(expected)


def test_workers_needed():
    assert estimates.workers_needed(compute=0.5, load=0.1, batch_size=32) == 7  # 3.2 s of loading
    assert estimates.workers_needed(compute=5.0, load=0.1, batch_size=32) == 1


@pytest.mark.parametrize('seconds, bytes_per_image, free, expected', [
    (10.0, None, None, 8),
    (5.9, None, None, 4),
    (0.5, None, None, 1),
    (10.0, 100.0, 450.0, 4),
    (10.0, 100.0, 10.0, 1),
    (-1.0, None, None, 1),
])
def test_images_that_fit(seconds, bytes_per_image, free, expected):
    assert estimates.images_that_fit([1, 2, 4, 8], 1.0, seconds, bytes_per_image, free) == expected


@pytest.mark.parametrize('epochs, interval, keep, expected', [
    (20, 5, 3, 4),  # three, and the fourth being written
    (20, 5, -1, 4),
    (20, 3, -1, 7),  # epochs 3, 6, 9, 12, 15, 18 and the last
    (20, 10, 3, 2),
    (20, 50, 3, 1),
    (20, 0, 3, 1),
])
def test_kept_checkpoints(epochs, interval, keep, expected):
    assert estimates.kept_checkpoints(epochs, interval, keep) == expected
