"""Randomness by (seed, epoch, sample id) alone."""

import multiprocessing
import random

import numpy as np
import pytest

from clim_mm.datasets import SampleRandomness


def started(seed=0, epoch=0):
    randomness = SampleRandomness()
    randomness.start_epoch(seed, epoch)
    return randomness


def draws(randomness, sample_idx):
    """Three numbers: of the sample's generator, of ``random`` and of numpy."""
    with randomness.of(sample_idx) as rng:
        return rng.random(), random.random(), np.random.rand()


def test_the_same_key_gives_the_same_draws():
    first = draws(started(3, 5), 7)
    random.seed(99)
    np.random.seed(99)
    again = started(3, 5)
    draws(again, 8)
    assert draws(again, 7) == first


def test_every_part_of_the_key_matters():
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 2, 3), (3, 2, 1), (2**31, 0, 0), (0, 0, 10**7)]
    found = [draws(started(seed, epoch), sample_idx) for seed, epoch, sample_idx in keys]
    for part in zip(*found, strict=True):
        assert len(set(part)) == len(keys)


def test_the_three_streams_differ():
    assert len({round(value, 12) for i in range(50) for value in draws(started(), i)}) == 150


def test_draws_over_samples_and_epochs_are_uniform_and_uncorrelated():
    randomness, values = SampleRandomness(), []
    for epoch in range(20):
        randomness.start_epoch(0, epoch)
        values.append([draws(randomness, i) for i in range(100)])
    values = np.array(values)
    for stream in range(3):
        frequency = np.histogram(values[..., stream], bins=10, range=(0, 1))[0]
        assert ((frequency - 200)**2 / 200).sum() < 9 + 5 * np.sqrt(18)
        neighbors = np.corrcoef(values[:, :-1, stream].ravel(), values[:, 1:, stream].ravel())[0, 1]
        epochs = np.corrcoef(values[:-1, :, stream].ravel(), values[1:, :, stream].ravel())[0, 1]
        assert max(abs(neighbors), abs(epochs)) < 5 / np.sqrt(1900)
    assert abs(np.corrcoef(values.reshape(-1, 3).T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(2000)


def test_the_global_generators_are_left_as_they_were():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    draws(started(), 4)
    assert (random.random(), np.random.rand()) == expected


def test_the_global_generators_are_left_as_they_were_after_an_error():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    with pytest.raises(KeyError), started().of(4):
        random.random()
        raise KeyError
    assert (random.random(), np.random.rand()) == expected


def test_a_new_epoch_changes_the_draws():
    randomness = started(0, 0)
    first = draws(randomness, 5)
    randomness.start_epoch(0, 1)
    second = draws(randomness, 5)
    randomness.start_epoch(0, 0)
    assert first != second
    assert draws(randomness, 5) == first


def draws_on_demand(randomness, connection):
    """Run in a child: send the draws of whatever sample is asked for."""
    while (sample_idx := connection.recv()) is not None:
        connection.send(draws(randomness, sample_idx))


def test_a_running_child_sees_the_epoch():
    context = multiprocessing.get_context('fork')
    randomness = SampleRandomness()
    here, there = context.Pipe()
    child = context.Process(target=draws_on_demand, args=(randomness, there), daemon=True)
    child.start()
    try:
        found = []
        for epoch in range(3):
            randomness.start_epoch(11, epoch)
            here.send(6)
            assert here.poll(60), 'the child does not answer'
            found.append(here.recv())
            assert found[-1] == draws(started(11, epoch), 6)
        assert len(set(found)) == 3
        here.send(None)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()


def test_a_batch_has_a_stream_that_its_first_sample_has_not():
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    found = [started(seed, epoch).of_batch(first).random(3).tolist() for seed, epoch, first in keys]
    assert len({tuple(numbers) for numbers in found}) == len(keys)
    randomness = started()
    assert randomness.of_batch(0).random(3).tolist() == found[0] == randomness.of_batch(0).random(3).tolist()
    with randomness.of(0) as rng:
        assert rng.random(3).tolist() != found[0]
    # The stream itself, from its definition.
    expected = np.random.default_rng(np.random.SeedSequence((0, 1, 0), spawn_key=(1, ))).random(3)
    assert expected.tolist() == found[2]
