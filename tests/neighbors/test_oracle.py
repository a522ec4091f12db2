"""Positives drawn by labels."""

import numpy as np
import pytest

from clim_mm.errors import ConfigError
from clim_mm.neighbors.oracle import positives_of_purity
from clim_mm.neighbors.refresh_health import purity

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 3, 4, 9], [200, 300, 400, 100]))


@pytest.mark.parametrize('share', [0.0, 0.2, 0.45, 0.8, 1.0])
def test_they_are_as_pure_as_asked(share):
    positives = positives_of_purity(LABELS, share, num_positives=10, seed=1)
    assert positives.shape == (1000, 10) and positives.dtype == np.int32
    assert purity(positives, LABELS) == pytest.approx(share, abs=0 if share in (0, 1) else 0.015)
    assert (positives >= 0).all() and (positives != np.arange(1000)[:, None]).all()
    assert all(len(set(row)) == 10 for row in positives.tolist())


def test_every_image_is_drawn_equally_often():
    labels = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0])
    counts = np.zeros((9, 9))
    for seed in range(2000):
        for anchor, row in enumerate(positives_of_purity(labels, 0.6, num_positives=2, seed=seed)):
            counts[anchor, row] += 1
    shares = counts / counts.sum(axis=1, keepdims=True)
    for anchor, share in enumerate(shares):
        same = (labels == labels[anchor]) & (np.arange(9) != anchor)
        assert share[anchor] == 0
        assert share[same] == pytest.approx(0.6 / same.sum(), abs=0.03)
        assert share[labels != labels[anchor]] == pytest.approx(0.4 / (labels != labels[anchor]).sum(), abs=0.03)


def test_where_there_are_not_enough_images():
    positives = positives_of_purity(np.array([5, 5, 7]), 1.0, num_positives=3)
    assert [sorted(row) for row in positives.tolist()] == [[-1, -1, 1], [-1, -1, 0], [-1, -1, -1]]
    (others, ) = {tuple(sorted(row)) for row in positives_of_purity(np.array([5, 5, 7]), 0.0, 3).tolist()[:2]}
    assert others == (-1, -1, 2)


def test_the_seed_decides():
    first, again, other = (positives_of_purity(LABELS, 0.5, seed=seed) for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).mean() > 0.9


@pytest.mark.parametrize('share', [-0.1, 1.1, None, 'all'])
def test_a_purity_that_is_none(share):
    with pytest.raises(ConfigError, match='purity'):
        positives_of_purity(LABELS, share)
