"""One refresh from features to positives, and the purity of its report."""

import math

import numpy as np
import pytest

from clim_mm.neighbors import STRATEGIES, cluster, search, search_lists, select_positives, train_centroids
from clim_mm.neighbors.refresh import purity, refresh
from clim_mm.neighbors.sizes import NeighborSizes

SECONDS = {'seconds_cluster', 'seconds_search', 'seconds_select'}
FIGURES = {'share_without_positive', 'share_with_copy', 'num_clusters', 'empty_clusters', 'cluster_balance',
           'largest_cluster'}


def groups(num_groups=6, each=40, dim=8, spread=0.05, seed=0):
    """Features in well separated groups, with the group as the label."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(num_groups), each))
    features = np.eye(num_groups, dim)[labels] + spread * rng.normal(size=(len(labels), dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), labels


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


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_refresh_is_cluster_search_select(strategy):
    features, _ = groups()
    found = refresh(features, NeighborSizes(12, 15), num_positives=4, strategy=strategy, seed=3)
    centroids, assignments = cluster(features, 12, seed=3)
    expected = select_positives(
        features, centroids, assignments, search(features, 15), num_positives=4, strategy=strategy, seed=3)
    np.testing.assert_array_equal(found.positives, expected)
    assert found.positives.shape == (240, 4) and found.positives.dtype == np.int32
    np.testing.assert_array_equal(found.centroids, centroids)
    assert found.centroids.shape == (12, 8) and found.centroids.dtype == np.float32


def test_search_lists_are_used_if_not_exact():
    features = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    centroids = train_centroids(features, 20)
    lists = search_lists(features, 15, centroids, nprobe=1, least_recall=0.0)
    expected = select_positives(features, centroids, lists.assignments, lists.neighbors, strategy='center_wise')
    options = dict(exact=False, least_recall=0.0)
    found = refresh(features, NeighborSizes(20, 15), nprobe=1, **options)
    np.testing.assert_array_equal(found.positives, expected)
    assert found.report['nprobe'] == 1 and found.report['recall'] == lists.recall < 0.9
    all_lists = refresh(features, NeighborSizes(20, 15), nprobe=20, **options)
    assert not np.array_equal(found.positives, all_lists.positives) and all_lists.report['recall'] == 1.0


@pytest.mark.e2e
def test_large_sets_are_searched_by_lists():
    features = np.random.default_rng(0).normal(size=(100_001, 2)).astype(np.float32)
    found = refresh(features, NeighborSizes(100, 3), num_positives=2)
    assert found.report['nprobe'] == 16 and found.report['recall'] > 0.99
    assert 'recall' not in refresh(features[:500], NeighborSizes(100, 3), num_positives=2).report


def test_centres_are_taken_up_if_not_exact():
    features, _ = groups(spread=0.4)
    first = refresh(features, NeighborSizes(12, 15), exact=False)
    again = refresh(features, NeighborSizes(12, 15), exact=False, start=first.centroids, seed=9)
    expected = train_centroids(features, 12, start=first.centroids, seed=9)
    np.testing.assert_array_equal(again.centroids, expected)
    other = refresh(features, NeighborSizes(13, 15), exact=False, start=first.centroids)
    assert other.centroids.shape == (13, 8), 'centres of another number are no start'


def test_report_without_labels():
    features, _ = groups()
    report = refresh(features, NeighborSizes(12, 15)).report
    assert set(report) == SECONDS | FIGURES
    assert all(report[name] > 0 for name in SECONDS)
    assert report['share_without_positive'] == 0.0


def test_report_with_labels_and_rivals():
    features, labels = groups()
    found = refresh(features, NeighborSizes(12, 15), labels=labels, compare=('knn', 'center_wise', 'random'))
    assert set(found.report) == SECONDS | FIGURES | {'purity_center_wise', 'purity_knn', 'purity_random'}
    assert found.report['purity_center_wise'] == found.report['purity_knn'] == 1.0
    assert found.report['purity_center_wise'] == purity(found.positives, labels)
    # A random other image has the anchor's label with probability 39 / 239.
    assert abs(found.report['purity_random'] - 39 / 239) < 0.03


def test_share_without_positive_and_empty_clusters_by_hand():
    # Five images together and one far away, which has no other image in its cluster.
    features = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [1000.0]], dtype=np.float32)
    report = refresh(features, NeighborSizes(2, 3), strategy='knn_kmeans').report
    assert report['share_without_positive'] == 1 / 6
    assert report['empty_clusters'] == 0.0
    assert report['largest_cluster'] == 5 / 6
    assert report['cluster_balance'] == pytest.approx(0.65002, abs=1e-5)  # 5/6 log2(6/5) + 1/6 log2(6)


def test_empty_clusters_are_counted():
    # Three distinct features cannot fill five clusters.
    features = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    report = refresh(features, NeighborSizes(5, 5)).report
    assert report['empty_clusters'] == 5 - len(set(cluster(features, 5)[1].tolist()))
    assert report['empty_clusters'] >= 2 and report['num_clusters'] == 5.0


def test_positives_changed_since_the_refresh_before():
    features, _ = groups()
    options = dict(sizes=NeighborSizes(12, 15), num_positives=4)
    first = refresh(features, **options).positives
    again = refresh(features, **options, previous=first)
    np.testing.assert_array_equal(again.positives, first)  # the table before chooses nothing
    assert set(again.report) == SECONDS | FIGURES | {'positives_changed'}
    assert again.report['positives_changed'] == 0.0
    assert refresh(features, **options, previous=first[:, ::-1]).report['positives_changed'] == 0.0
    assert refresh(features, **options, previous=np.full_like(first, -1)).report['positives_changed'] == 1.0
    third = first.copy()
    third[:80] = -1  # 80 of 240 rows had other positives
    assert refresh(features, **options, previous=third).report['positives_changed'] == 80 / 240


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_labels_choose_nothing(strategy):
    features, labels = groups(spread=0.5)
    options = dict(sizes=NeighborSizes(12, 15), strategy=strategy)
    expected = refresh(features, **options).positives
    for given in (labels, labels[::-1], np.zeros_like(labels)):
        found = refresh(features, **options, labels=given, compare=STRATEGIES).positives
        np.testing.assert_array_equal(found, expected)


def test_the_seed_decides():
    features, _ = groups(spread=0.5)
    first, again, other = (refresh(features, NeighborSizes(12, 40), seed=seed).positives for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
