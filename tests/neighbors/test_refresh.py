"""One refresh from features to positives, and the purity of its report."""

import math

import numpy as np
import pytest

from clim_mm.neighbors import STRATEGIES, cluster, ivf_search, search, select_positives, train_centroids
from clim_mm.neighbors.confidence import left_to_the_surest
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh import refresh, refresh_from_table
from clim_mm.neighbors.refresh_health import purity
from clim_mm.neighbors.whitening import whitened

SECONDS = {'seconds_cluster', 'seconds_search', 'seconds_select'}
FIGURES = {'share_without_positive', 'share_with_copy', 'num_clusters', 'empty_clusters', 'cluster_balance',
           'largest_cluster', 'alignment', 'uniformity', 'rank_me'}


def groups(num_groups=6, each=40, dim=8, spread=0.05, seed=0):
    """Features in well separated groups, with the group as the label."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(num_groups), each))
    features = np.eye(num_groups, dim)[labels] + spread * rng.normal(size=(len(labels), dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), labels


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
    lists = ivf_search(features, 15, centroids, nprobe=1, least_recall=0.0)
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


BAD = [0, 17, 40, 41, 119]
READABLE = np.setdiff1d(np.arange(120), BAD)
OPTIONS = dict(num_positives=4, seed=3)
SIZES = NeighborSizes(8, 10)


def features_of(number=120, dim=8, seed=0):
    features = np.random.default_rng(seed).normal(size=(number, dim)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def with_holes(features, bad=BAD):
    """What extraction gives: NaN where nothing could be read."""
    features = features.copy()
    features[bad] = np.nan
    return features


def figures(report):
    """All but the times."""
    return {name: value for name, value in report.items() if not name.startswith('seconds')}


def mapped(positives, readable=READABLE, number=120):
    """Positives among the readable, under the ids of all, entry by entry."""
    expected = np.full((number, positives.shape[1]), -1)
    for row, i in enumerate(readable):
        for column, j in enumerate(positives[row]):
            expected[i, column] = -1 if j < 0 else readable[j]
    return expected


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_it_is_the_refresh_of_the_others_under_their_own_ids(strategy):
    features = features_of()
    found = refresh(with_holes(features), SIZES, readable=READABLE, strategy=strategy, **OPTIONS)
    alone = refresh(features[READABLE], SIZES, strategy=strategy, **OPTIONS)
    assert found.positives.dtype == np.int32 and found.positives.shape == (120, 4)
    np.testing.assert_array_equal(found.positives, mapped(alone.positives))
    np.testing.assert_array_equal(found.centroids, alone.centroids)
    assert figures(found.report) == figures(alone.report)
    np.testing.assert_array_equal(found.neighbors, mapped(alone.neighbors))
    np.testing.assert_array_equal(found.assignments[READABLE], alone.assignments)
    assert (found.assignments[BAD] == -1).all()
    assert (found.positives[BAD] == -1).all() and not np.isin(found.positives, BAD).any()
    assert (found.positives[READABLE] >= 0).mean() > 0.5, 'the others have positives'


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_if_all_can_be_read_it_is_the_refresh_itself(strategy):
    features, labels = features_of(), np.arange(120) % 3
    given = dict(labels=labels, strategy=strategy, compare=('knn', ), previous=np.zeros((120, 4), dtype=np.int32))
    found = refresh(features, SIZES, readable=np.arange(120), **given, **OPTIONS)
    whole = refresh(features, SIZES, **given, **OPTIONS)
    np.testing.assert_array_equal(found.positives, whole.positives)
    np.testing.assert_array_equal(found.centroids, whole.centroids)
    assert figures(found.report) == figures(whole.report)


def test_purity_is_that_of_the_readable_images():
    labels = np.arange(120) % 3
    found = refresh(
        with_holes(features_of()), SIZES, readable=READABLE, labels=labels, compare=('random', ), **OPTIONS)
    matches = [labels[i] == labels[j] for i, row in enumerate(found.positives) for j in row if j >= 0]
    assert found.report['purity_center_wise'] == np.mean(matches)
    random = refresh(features_of()[READABLE], SIZES, strategy='random', **OPTIONS).positives
    matches = [labels[READABLE[i]] == labels[READABLE[j]] for i, row in enumerate(random) for j in row if j >= 0]
    assert found.report['purity_random'] == np.mean(matches)


def test_the_share_without_a_positive_is_that_of_the_readable_images():
    # Five images together and one far away, which has no other image in its cluster; two that cannot be read.
    features = np.array([[0.0], [np.nan], [0.1], [0.2], [0.3], [np.nan], [0.4], [1000.0]], dtype=np.float32)
    readable = np.array([0, 2, 3, 4, 6, 7])
    found = refresh(features, NeighborSizes(2, 3), readable=readable, strategy='knn_kmeans')
    assert found.report['share_without_positive'] == 1 / 6
    assert (found.positives < 0).all(axis=1).tolist() == [False, True, False, False, False, True, False, True]
    assert set(found.positives[0][found.positives[0] >= 0]) == {2, 3, 4}


def test_changes_are_told_of_the_ids_of_all_images():
    features = features_of()
    first = refresh(features, SIZES, readable=np.arange(120), **OPTIONS)
    again = refresh(with_holes(features), SIZES, readable=READABLE, previous=first.positives, **OPTIONS)
    new = [j not in first.positives[i] for i, row in enumerate(again.positives) for j in row if j >= 0]
    assert again.report['positives_changed'] == np.mean(new) and 0 < np.mean(new) < 1
    same = refresh(with_holes(features), SIZES, readable=READABLE, previous=again.positives, **OPTIONS)
    assert same.report['positives_changed'] == 0.0
    assert 'positives_changed' not in first.report


@pytest.mark.parametrize('num_readable, sizes, clipped', [
    (6, NeighborSizes(8, 10), NeighborSizes(6, 5)),
    (9, NeighborSizes(8, 10), NeighborSizes(8, 8)),
    (2, NeighborSizes(8, 10), NeighborSizes(2, 1)),
])
def test_there_are_no_more_clusters_and_neighbours_than_readable_images(num_readable, sizes, clipped):
    features, readable = features_of(12), np.arange(12 - num_readable, 12)
    bad = np.arange(12 - num_readable)
    options = dict(num_positives=3, strategy='knn')
    found = refresh(with_holes(features, bad), sizes, readable=readable, **options)
    alone = refresh(features[readable], clipped, **options)
    np.testing.assert_array_equal(found.positives, mapped(alone.positives, readable, 12))
    assert found.centroids.shape == (clipped.num_clusters, 8)


def test_a_single_readable_image_has_no_positive():
    found = refresh(
        with_holes(features_of(6), [0, 1, 2, 4, 5]), NeighborSizes(2, 3), readable=np.array([3]),
        previous=np.full((6, 2), -1),
        num_positives=2)
    np.testing.assert_array_equal(found.positives, np.full((6, 2), -1))
    assert found.report['share_without_positive'] == 1.0
    assert math.isnan(found.report['positives_changed'])


POSITIVES = np.array([[1, -1], [0, 3], [-1, -1], [1, 0], [-1, -1]], dtype=np.int32)
CENTERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=np.float32)
FEATURES = np.array([[1, 0], [2, 0], [np.nan, np.nan], [8, 0], [0, 7]], dtype=np.float32)
SEEN = np.array([0, 1, 3, 4])


def test_a_case_by_hand():
    found = refresh_from_table(FEATURES, SEEN, POSITIVES, CENTERS, 2)
    np.testing.assert_array_equal(found.assignments, [0, 0, -1, 1, 2])
    np.testing.assert_array_equal(found.neighbors, [[1, 3], [0, 3], [-1, -1], [1, 0], [0, 1]])
    np.testing.assert_array_equal(found.positives, POSITIVES)
    np.testing.assert_array_equal(found.centroids, CENTERS)
    assert found.report == dict(share_without_positive=0.4)


def test_no_more_neighbours_than_images():
    assert refresh_from_table(FEATURES, SEEN, POSITIVES, CENTERS, 40).neighbors.shape == (5, 3)


def test_the_nearest_centre_against_brute_force():
    rng = np.random.default_rng(0)
    features, centroids = (rng.normal(size=shape).astype(np.float32) for shape in ((300, 8), (17, 8)))
    distances = ((features.astype(np.float64)[:, None] - centroids[None])**2).sum(axis=2)
    found = refresh_from_table(features, np.arange(300), np.full((300, 1), -1, dtype=np.int32), centroids, 5)
    np.testing.assert_array_equal(found.assignments, distances.argmin(axis=1))


def test_centres_of_other_features_are_refused():
    with pytest.raises(ValueError, match='Features of length 2 do not belong to centres of length 3'):
        refresh_from_table(FEATURES, SEEN, POSITIVES, np.zeros((2, 3), np.float32), 2)


def test_whitened_features_are_clustered_compared_and_handed_on():
    features, labels = groups(spread=0.2)
    features = features * np.array([9, 1, 1, 1, 1, 1, 1, 1], np.float32)  # one direction decides
    seen = whitened(features, 0.1)
    plain, found = (refresh(features, NeighborSizes(12, 15), num_positives=4, whiten=floor, labels=labels, seed=3)
                    for floor in (None, 0.1))
    of_whitened = refresh(seen, NeighborSizes(12, 15), num_positives=4, labels=labels, seed=3)
    for name in ('features', 'positives', 'centroids', 'assignments', 'neighbors'):
        np.testing.assert_array_equal(getattr(found, name), getattr(of_whitened, name))
    assert plain.features is features
    assert found.report['purity_center_wise'] > plain.report['purity_center_wise'] + 0.05


def test_whitened_by_the_readable_ones():
    features, _ = groups()
    readable = np.delete(np.arange(240), [3, 77])
    features[[3, 77]] = np.nan
    found = refresh(features, NeighborSizes(12, 15), whiten=0.1, readable=readable)
    np.testing.assert_array_equal(found.features[readable], whitened(features[readable], 0.1))
    assert np.isnan(found.features[[3, 77]]).all()
    told = refresh_from_table(features, readable, found.positives, found.centroids, 15, whiten=0.1)
    for name in ('features', 'assignments', 'neighbors'):
        np.testing.assert_array_equal(getattr(told, name), getattr(found, name))


def test_positives_are_left_to_the_surest():
    features, labels = groups(spread=0.3)
    settings = dict(sizes=NeighborSizes(12, 15), num_positives=4, labels=labels, compare=('knn', ), seed=3)
    every, some = (refresh(features, surest=share, **settings) for share in (1.0, 0.25))
    np.testing.assert_array_equal(some.positives, left_to_the_surest(every.positives, features, 0.25))
    assert (some.positives >= 0).any(axis=1).sum() == 60
    assert some.report['share_without_positive'] == some.report['share_unsure'] == 0.75
    assert 'share_unsure' not in every.report
    for name in ('purity_center_wise', 'purity_knn'):
        assert some.report[name] > every.report[name], 'of such groups the surest are the purest'
