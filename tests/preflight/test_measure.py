"""Which steps are taken, and how long they are said to take. In one process a clock of the tests tells the time."""

import time
from types import SimpleNamespace

import pytest
import torch
from gloo import on_processes
from mmengine import dist

from clim_mm.errors import DataError
from clim_mm.preflight.measure import load_samples, measure_encoding, measure_steps


class Clock:
    """Goes on when somebody sleeps, and at no other time."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        """Let ``seconds`` pass."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr('clim_mm.preflight.measure.time', SimpleNamespace(perf_counter=lambda: made.now))
    return made


class Waiting:
    """Something that takes ``seconds`` for each image, and notes how many it was given."""

    device = torch.device('cpu')

    def __init__(self, clock, seconds, first=0.0):
        self.sleep, self.seconds, self.first = clock.sleep, seconds, first
        self.batches = []

    def step(self, batch):  # noqa: D102
        self.sleep(self.seconds * len(batch) + self.first)
        self.first = 0.0
        self.batches.append(len(batch))

    def optimizer_bytes(self):  # noqa: D102
        return 12


def images(number):
    return [0] * number


def test_a_quick_model_takes_the_whole_batch(clock):
    model = Waiting(clock, 0.0005)
    step = measure_steps(model, images, 2, 32, seconds=1.0)
    assert model.batches == [2, 2, 32] + [32] * 5
    assert (step.images, step.steps, step.optimizer_bytes, step.activation_bytes) == (32, 5, 12, None)
    assert step.seconds == pytest.approx(0.016)
    assert step.seconds_per_image == step.seconds / 32


def test_a_slow_model_takes_what_there_is_time_for(clock):
    model = Waiting(clock, 0.02)
    step = measure_steps(model, images, 2, 32, seconds=0.8)
    # After 0.08 s a third of the remaining 0.72 s is for 12 images: one step to warm up, two that are measured.
    assert model.batches == [2, 2, 12, 12, 12]
    assert step.images == 12 and step.seconds_per_image == pytest.approx(0.02)


@pytest.mark.parametrize('seconds', [0.05, 0.5, 5.0])
def test_the_first_step_of_a_size_is_never_the_measure(clock, seconds):
    """Where a machine is busy or the time short, one step of two images, the first, told eight times too much."""
    model = Waiting(clock, 0.1, first=1.0)
    step = measure_steps(model, images, 2, 32, seconds)
    assert step.steps >= 2 and step.seconds_per_image == pytest.approx(0.1)
    assert model.batches.count(step.images) > step.steps, 'one has warmed up'


def test_steps_that_differ_are_said_to_differ(clock):
    class Disturbed(Waiting):
        def step(self, batch):
            super().step(batch)
            self.seconds += 0.01

    step = measure_steps(Disturbed(clock, 0.01), images, 2, 2, seconds=0.01)
    assert step.steps == 2 and step.slowest == pytest.approx(1.5)
    assert measure_steps(Waiting(clock, 0.01), images, 2, 2, seconds=0.01).slowest == pytest.approx(1)


@pytest.mark.parametrize('fewest, most', [(1, 1), (4, 8)])
def test_the_smallest_size_is_tried_first(clock, fewest, most):
    model = Waiting(clock, 0.05)
    assert measure_steps(model, images, fewest, most, seconds=0.01).images == fewest == model.batches[0]


class Samples:
    """Each takes 10 ms, the first 200 ms more; odd ones cannot be read."""

    def __init__(self, clock):
        self.sleep, self.asked = clock.sleep, []

    def __getitem__(self, i):
        self.sleep(0.01 if self.asked else 0.21)
        self.asked.append(i)
        if i % 2:
            raise DataError('cannot be read')
        return i


def test_samples_are_made_until_there_are_enough(clock):
    dataset = Samples(clock)
    samples, loading = load_samples(dataset, [4, 5, 6, 7, 8, 9, 10, 11], seconds=60, most=3)
    assert samples == [4, 6, 8] and dataset.asked == [4, 5, 6, 7, 8]
    assert loading.samples == 2 and loading.seconds == pytest.approx(0.01), 'the first one is left out'


def test_samples_are_made_until_the_time_is_over(clock):
    dataset = Samples(clock)
    samples, loading = load_samples(dataset, range(0, 100, 2), seconds=0.1)
    assert samples == [0, 2, 4] and loading.samples == 2 and loading.seconds == pytest.approx(0.01)
    samples, loading = load_samples(Samples(clock), [0], seconds=0.1)
    assert samples == [0] and loading.seconds == pytest.approx(0.21), 'there is no other'


def test_no_sample_can_be_made(clock):
    assert load_samples(Samples(clock), [1, 3], seconds=1) == ([], None)
    assert load_samples(Samples(clock), [], seconds=1) == ([], None)


def test_encoding(clock):
    calls = []

    def encode(batch):
        clock.sleep(0.2 if not calls else 0.02)
        calls.append(batch)
        return torch.zeros(4, 7, dtype=torch.bfloat16)

    seconds, dim = measure_encoding(encode, dict(a=1), images=4, seconds=2.0)
    assert dim == 7 and seconds == pytest.approx(0.005)
    assert len(calls) == 6 and calls[0] == dict(a=1)
    calls.clear()
    assert measure_encoding(encode, {}, images=4, seconds=0.01)[0] == pytest.approx(0.005) and len(calls) == 3


def unequal_processes():
    """What a process takes of which the second is twenty times as slow."""
    model = Waiting(time, 0.001 if dist.get_rank() == 0 else 0.02)
    step = measure_steps(model, images, 2, 32, seconds=0.4)
    return model.batches, step.images, step.steps


@pytest.mark.e2e
def test_processes_take_the_same_steps():
    first, second = on_processes(2, unequal_processes)
    assert first == second and first[1] > 16, 'on the decision of the first'
