"""Which steps are taken, and how long they are said to take. In one process a clock of the tests tells the time."""

import time
from types import SimpleNamespace

import pytest
import torch
from gloo import on_processes
from mmengine import dist

from clim_mm.preflight.measure import load_samples, measure_encoding
from clim_mm.preflight.rehearsal import measure_steps


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
    for module in ('measure', 'rehearsal'):
        monkeypatch.setattr(f'clim_mm.preflight.{module}.time', SimpleNamespace(perf_counter=lambda: made.now))
    return made


class Waiting:
    """Something that takes ``seconds`` for each image, and notes how many it was given."""

    device = torch.device('cpu')

    def __init__(self, clock, seconds, first=0.0):
        self.sleep, self.seconds, self.first = clock.sleep, seconds, first
        self.batches = []

    def step(self, batch):  # noqa: D102
        took, self.first = self.seconds * len(batch) + self.first, 0.0
        self.sleep(took)
        self.batches.append(len(batch))
        return took, None


def images(number):
    return [0] * number


def test_a_quick_model_takes_the_whole_batch(clock):
    model = Waiting(clock, 0.0005)
    assert measure_steps(model, images, 32, seconds=1.0) == (pytest.approx(0.0005), None)
    assert model.batches == [2, 2, 32] + [32] * 3


def test_a_slow_model_takes_what_there_is_time_for(clock):
    model = Waiting(clock, 0.02)
    # After 0.08 s a quarter of the remaining 0.72 s is for 9 images: one step to warm up, three that are measured.
    assert measure_steps(model, images, 32, seconds=0.8)[0] == pytest.approx(0.02)
    assert model.batches == [2, 2, 9, 9, 9, 9]


@pytest.mark.parametrize('seconds', [0.05, 0.5, 5.0])
def test_the_first_step_of_a_size_is_never_the_measure(clock, seconds):
    """Where a machine is busy or the time short, one step of two images, the first, told eight times too much."""
    model = Waiting(clock, 0.1, first=1.0)
    assert measure_steps(model, images, 32, seconds)[0] == pytest.approx(0.1)
    assert model.batches.count(model.batches[-1]) > 3, 'one has warmed up'


def test_one_image(clock):
    model = Waiting(clock, 0.05)
    assert measure_steps(model, images, 1, seconds=0.01)[0] == pytest.approx(0.05) and set(model.batches) == {1}


class Samples:
    """Each takes 10 ms, the first 200 ms more."""

    def __init__(self, clock):
        self.sleep, self.asked = clock.sleep, []

    def __getitem__(self, i):
        self.sleep(0.01 if self.asked else 0.21)
        self.asked.append(i)
        return i


def test_all_samples_that_are_asked_for(clock):
    samples, seconds = load_samples(Samples(clock), [4, 5, 6], seconds=60)
    assert samples == [4, 5, 6] and seconds == pytest.approx(0.01), 'the first one is left out'


def test_samples_are_made_until_the_time_is_over(clock):
    samples, seconds = load_samples(Samples(clock), range(0, 100, 2), seconds=0.1)
    assert samples == [0, 2, 4] and seconds == pytest.approx(0.01)
    samples, seconds = load_samples(Samples(clock), [0], seconds=0.1)
    assert samples == [0] and seconds == pytest.approx(0.21), 'there is no other'


def test_encoding(clock):
    calls = []

    def encode(batch):
        clock.sleep(0.2 if not calls else 0.02)
        calls.append(batch)
        return torch.zeros(4, 7, dtype=torch.bfloat16)

    assert measure_encoding(encode, dict(a=1), images=4) == (pytest.approx(0.005), 7)
    assert calls == [dict(a=1)] * 3


def unequal_processes():
    """What a process takes of which the second is twenty times as slow."""
    model = Waiting(time, 0.001 if dist.get_rank() == 0 else 0.02)
    measure_steps(model, images, 32, seconds=0.4)
    return model.batches


@pytest.mark.e2e
def test_processes_take_the_same_steps():
    first, second = on_processes(2, unequal_processes)
    assert first == second and first[-1] > 16, 'on the decision of the first'
