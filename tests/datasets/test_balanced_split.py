"""A share of the images, as many of each class."""

import numpy as np
import pytest

from clim_mm.datasets import balanced_split
from clim_mm.errors import ConfigError

LABELS = np.repeat([2, 5, 9], [100, 60, 40])[np.random.default_rng(0).permutation(200)]


@pytest.mark.parametrize('share, of_each', [
    (0.15, [10, 10, 10]),
    (0.01, [1, 1, 1]),  # two thirds of an image
    (0.001, [1, 1, 1]),
    (0.75, [50, 50, 40]),  # all there are
    (1, [67, 60, 40]),
])
def test_as_many_of_each_class(share, of_each):
    ids = balanced_split(LABELS, share)
    assert [int((LABELS[ids] == label).sum()) for label in (2, 5, 9)] == of_each
    assert (np.diff(ids) > 0).all()


def test_the_seed_decides():
    first = balanced_split(LABELS, 0.15)
    np.testing.assert_array_equal(first, balanced_split(LABELS, 0.15, seed=0))
    assert len(set(first) & set(balanced_split(LABELS, 0.15, seed=1))) < 15


@pytest.mark.parametrize('share', [0, -0.1, 1.01, float('nan')])
def test_no_share(share):
    with pytest.raises(ConfigError, match='share of labelled images'):
        balanced_split(LABELS, share)
