"""The verdict on a refresh."""

import math

import numpy as np
import pytest

from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh import refresh
from clim_mm.neighbors.refresh_health import (
    cluster_balance,
    judge_refresh,
    positives_changed,
    purity,
    share_with_copy,
)


def verdict(cluster_sizes, share_without_positive=0.0):
    sizes = np.array(cluster_sizes)
    return judge_refresh(
        dict(num_clusters=float(len(sizes)), empty_clusters=float((sizes == 0).sum()),
             cluster_balance=cluster_balance(sizes), largest_cluster=sizes.max() / sizes.sum(),
             share_without_positive=share_without_positive))


@pytest.mark.parametrize(('cluster_sizes', 'state'), [
    ([100] * 50, 'healthy'),
    ([600] + [100] * 50, 'healthy'),  # 11%
    ([6000] + [100] * 50, 'collapsing'),  # 55%
    ([6000] + [0] * 50, 'collapsing'),
    ([100], 'healthy'),  # one cluster holds everything because it is the only one
    ([100] * 10 + [0] * 10, 'healthy'),
    ([100] * 10 + [0] * 11, 'collapsing'),
    ([75, 25], 'healthy'),
    ([90, 10], 'collapsing'),
])
def test_uneven_clusters(cluster_sizes, state):
    assert verdict(cluster_sizes).state == state


def test_the_reason_names_the_figures():
    assert verdict([100] * 10 + [0] * 11).reason.startswith('Collapsing: 11 of 21 clusters are empty, so most ')
    health = verdict([6000] + [100] * 50)
    assert health.is_bad and health.cause == 'clusters'
    # (6/11 ln(11/6) + 5/11 ln 110) / ln 51
    assert health.reason.startswith('Collapsing: one cluster holds 55% of the images (balance 0.63 of 1), ')


@pytest.mark.parametrize(('share', 'state'), [(0.1, 'healthy'), (0.18, 'not learning')])
def test_images_that_are_there_twice(share, state):
    health = judge_refresh(
        dict(num_clusters=9.0, empty_clusters=0.0, cluster_balance=1.0, largest_cluster=0.1,
             share_without_positive=0.0, share_with_copy=share))
    assert health.state == state
    assert state == 'healthy' or '18% of the images have the same features as another image' in health.reason


def test_images_left_without_on_purpose_are_no_fault():
    report = dict(num_clusters=9.0, empty_clusters=0.0, cluster_balance=1.0, largest_cluster=0.1,
                  share_without_positive=0.9)
    assert judge_refresh(report).is_bad and not judge_refresh(dict(report, share_unsure=0.75)).is_bad


@pytest.mark.parametrize(('share', 'state'), [(0.5, 'healthy'), (0.51, 'not learning'), (1.0, 'not learning')])
def test_images_without_a_positive(share, state):
    health = verdict([10] * 9, share)
    assert health.state == state and health.is_bad is (state != 'healthy')
    if health.is_bad:
        assert health.cause == 'positives' and f': {share:.0%} of the images have no positive' in health.reason


def test_features_of_a_real_refresh():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(320, 16)).astype(np.float32)
    spread /= np.linalg.norm(spread, axis=1, keepdims=True)
    collapsed = np.repeat(spread[:1], 320, axis=0)
    collapsed[:20] = spread[:20]
    sizes = NeighborSizes(20, 5)
    assert judge_refresh(refresh(spread, sizes).report).state == 'healthy'
    assert judge_refresh(refresh(collapsed, sizes).report).cause == 'clusters'
    few = np.repeat(spread[:5], 64, axis=0)  # cannot fill twenty clusters
    assert '15 of 20 clusters are empty' in judge_refresh(refresh(few, sizes).report).reason


def test_purity_decides_nothing():
    report = dict(
        num_clusters=10.0, empty_clusters=0.0, cluster_balance=1.0, largest_cluster=0.1, share_without_positive=0.0)
    assert judge_refresh(dict(report, purity_center_wise=0.0)) == judge_refresh(report)


@pytest.mark.parametrize(('sizes', 'balance'), [
    ([5, 5, 5, 5], 1.0),
    ([20, 0, 0, 0], 0.0),
    ([10, 10, 0, 0], 0.5),  # log 2 / log 4
    ([2, 1, 1], 1.5 * math.log(2) / math.log(3)),
    ([7], 1.0),  # a single cluster
])
def test_clusters_by_hand(sizes, balance):
    assert cluster_balance(np.array(sizes)) == pytest.approx(balance, abs=1e-12)
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
