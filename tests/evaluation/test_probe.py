"""The logistic probe on features that are worth something, and on some that are not."""

import numpy as np
import pytest

from clim_mm.errors import ConfigError
from clim_mm.evaluation import probe_top1


def blobs(number, distance, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, number)
    return rng.normal(size=(number, 5)) * [1, 100, 1, 1, 1] + distance * np.eye(5)[labels + 2], labels


def test_classes_that_are_apart_are_told_apart():
    assert probe_top1(*blobs(300, 8.0, 0), *blobs(200, 8.0, 1)) > 0.99
    chance = probe_top1(*blobs(300, 0.0, 0), *blobs(2000, 0.0, 1))
    assert chance == pytest.approx(1 / 3, abs=0.05)


def test_a_strong_penalty_flattens():
    few, many = blobs(60, 1.5, 0), blobs(2000, 1.5, 1)
    assert probe_top1(*few, *many, c=1e-9) < probe_top1(*few, *many, c=0.1)


def test_what_cannot_be_learned():
    features, labels = blobs(30, 1.0, 0)
    with pytest.raises(ConfigError, match='all of one class'):
        probe_top1(features, np.zeros(30, dtype=int), features, labels)
    with pytest.raises(ConfigError, match='above 0'):
        probe_top1(features, labels, features, labels, c=0.0)
