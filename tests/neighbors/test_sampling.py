"""Sampling without replacement, row by row."""

from itertools import combinations

import numpy as np
import pytest

from clim_mm.neighbors.sampling import sample_without_replacement


@pytest.mark.parametrize('size', [1, 3, 10])
def test_rows_hold_distinct_integers_below_their_count(size):
    counts = np.arange(200) % 25
    drawn = sample_without_replacement(counts, size, np.random.default_rng(0))
    assert drawn.shape == (200, size) and drawn.dtype == np.int64
    for count, row in zip(counts, drawn, strict=True):
        present = row[row >= 0]
        assert len(present) == min(size, count) == len(set(present.tolist()))
        assert (present < count).all() and (row >= -1).all()


@pytest.mark.parametrize('count', [0, 1, 2, 4, 5])
def test_a_count_within_the_size_gives_all_of_them(count):
    drawn = sample_without_replacement(np.full(50, count), 5, np.random.default_rng(0))
    expected = [-1] * (5 - count) + list(range(count))
    assert [sorted(row) for row in drawn.tolist()] == [expected] * 50


@pytest.mark.parametrize('count, size', [(5, 1), (5, 2), (6, 3), (7, 6)])
def test_every_subset_is_equally_likely(count, size):
    num_rows = 40000
    drawn = np.sort(sample_without_replacement(np.full(num_rows, count), size, np.random.default_rng(1)), axis=1)
    found, frequency = np.unique(drawn, axis=0, return_counts=True)
    subsets = list(combinations(range(count), size))
    assert [tuple(row) for row in found.tolist()] == subsets
    expected = num_rows / len(subsets)
    chi_square = ((frequency - expected)**2 / expected).sum()
    degrees = len(subsets) - 1
    assert chi_square < degrees + 5 * np.sqrt(2 * degrees)


def test_the_generator_decides():
    counts = np.full(100, 30)
    first, again, other = (sample_without_replacement(counts, 5, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_counts_far_above_the_size():
    drawn = sample_without_replacement(np.full(2000, 10**9), 10, np.random.default_rng(0))
    assert drawn.min() >= 0 and drawn.max() < 10**9
    assert abs(drawn.mean() / 10**9 - 0.5) < 5 * np.sqrt(1 / 12 / drawn.size)
