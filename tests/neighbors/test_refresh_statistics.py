"""Balance of the clusters and change of the table, by hand and by plain Python."""

import math

import numpy as np
import pytest

from clim_mm.neighbors.refresh_statistics import (
    cluster_balance,
    largest_cluster,
    positives_changed,
    purity,
    share_with_copy,
)


@pytest.mark.parametrize(('sizes', 'balance', 'largest'), [
    ([5, 5, 5, 5], 1.0, 0.25),
    ([20, 0, 0, 0], 0.0, 1.0),
    ([10, 10, 0, 0], 0.5, 0.5),  # log 2 / log 4
    ([2, 1, 1], 1.5 * math.log(2) / math.log(3), 0.5),
    ([7], 1.0, 1.0),  # a single cluster
])
def test_clusters_by_hand(sizes, balance, largest):
    assert cluster_balance(np.array(sizes)) == pytest.approx(balance, abs=1e-12)
    assert largest_cluster(np.array(sizes)) == largest
    assert math.copysign(1, cluster_balance(np.array(sizes))) == 1  # no -0.0


def test_many_clusters_at_random_are_nearly_even():
    sizes = np.bincount(np.random.default_rng(0).integers(0, 100, 100_000), minlength=100)
    # Poisson sizes of mean 1000: the entropy lacks about 1 / (2 * 1000).
    assert cluster_balance(sizes) == pytest.approx(1 - 1 / 2000 / math.log(100), abs=5e-5)


def test_positives_changed_by_hand():
    previous = np.array([[1, 2, -1], [-1, -1, -1], [3, 1, 0], [2, 0, -1]])
    # Row 0: the same in another order. Row 1: two new. Row 2: 0 was there. Row 3: none now.
    positives = np.array([[2, 1, -1], [0, 3, -1], [0, -1, -1], [-1, -1, -1]])
    assert positives_changed(previous, positives) == 2 / 5
    assert positives_changed(positives, previous) == 4 / 7  # 3 and 1 of row 2, 2 and 0 of row 3
    assert positives_changed(positives, positives) == 0.0


def test_another_number_of_positives():
    assert positives_changed(np.array([[1], [0]]), np.array([[2, 1], [0, 2]])) == 1 / 2
    assert positives_changed(np.array([[2, 1], [0, 2]]), np.array([[1], [0]])) == 0.0


def test_without_any_positive_the_share_is_nan():
    assert math.isnan(positives_changed(np.array([[1], [0]]), np.full((2, 1), -1)))


def test_against_sets():
    rng = np.random.default_rng(0)
    previous, positives = (rng.integers(-1, 12, (500, 6)).astype(np.int32) for _ in range(2))
    new = [p not in set(before) for before, now in zip(previous.tolist(), positives.tolist(), strict=True)
           for p in now if p >= 0]
    assert positives_changed(previous, positives) == pytest.approx(sum(new) / len(new), abs=1e-12)


def test_images_with_a_copy():
    features = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)
    features[1000:2000] = features[:1000] + 1e-6
    neighbors = np.roll(np.arange(3000), -1)[:, None]
    assert share_with_copy(features, neighbors) == 0.0
    neighbors[:1000, 0], neighbors[1000:2000, 0] = np.arange(1000, 2000), np.arange(1000)
    assert share_with_copy(features, neighbors) == pytest.approx(2 / 3, abs=1e-2)
    assert share_with_copy(features[:10], np.full((10, 1), -1)) == 0.0


def test_the_inputs_stay():
    previous, positives = np.array([[1, -1], [0, -1]]), np.array([[-1, 1], [0, -1]])
    previous.flags.writeable = positives.flags.writeable = False  # as the table gives them
    assert positives_changed(previous, positives) == 0.0


def test_purity_by_hand():
    labels = np.array([0, 0, 1, 1])
    # Row 0: 1 is of its label, 2 is not. Row 1: no positive. Row 2: 3 is. Row 3: 2 is, 0 and 1 are not.
    positives = np.array([[1, 2, -1], [-1, -1, -1], [3, -1, -1], [0, 1, 2]])
    assert purity(positives, labels) == 3 / 6
    assert purity(np.array([[1], [0], [3], [2]]), labels) == 1.0
    assert purity(np.array([[2], [3], [0], [1]]), labels) == 0.0


def test_minus_one_does_not_count_as_the_last_image():
    assert purity(np.array([[1, -1], [0, -1], [0, -1]]), np.array([7, 7, 7])) == 1.0
    assert purity(np.array([[2, -1], [2, -1], [0, -1]]), np.array([5, 5, 6])) == 0.0


def test_purity_without_any_positive_is_nan():
    assert math.isnan(purity(np.full((3, 2), -1), np.array([0, 1, 2])))
