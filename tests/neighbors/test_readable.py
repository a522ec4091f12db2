"""A refresh where some images cannot be read: that of the others alone, under their own ids."""

import math

import numpy as np
import pytest

from clim_mm.neighbors import STRATEGIES
from clim_mm.neighbors.readable import refresh_readable
from clim_mm.neighbors.refresh import refresh
from clim_mm.neighbors.sizes import NeighborSizes

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
    found = refresh_readable(with_holes(features), READABLE, SIZES, strategy=strategy, **OPTIONS)
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
    found = refresh_readable(features, np.arange(120), SIZES, **given, **OPTIONS)
    whole = refresh(features, SIZES, **given, **OPTIONS)
    np.testing.assert_array_equal(found.positives, whole.positives)
    np.testing.assert_array_equal(found.centroids, whole.centroids)
    assert figures(found.report) == figures(whole.report)


def test_purity_is_that_of_the_readable_images():
    labels = np.arange(120) % 3
    found = refresh_readable(
        with_holes(features_of()), READABLE, SIZES, labels=labels, compare=('random', ), **OPTIONS)
    matches = [labels[i] == labels[j] for i, row in enumerate(found.positives) for j in row if j >= 0]
    assert found.report['purity_center_wise'] == np.mean(matches)
    random = refresh(features_of()[READABLE], SIZES, strategy='random', **OPTIONS).positives
    matches = [labels[READABLE[i]] == labels[READABLE[j]] for i, row in enumerate(random) for j in row if j >= 0]
    assert found.report['purity_random'] == np.mean(matches)


def test_the_share_without_a_positive_is_that_of_the_readable_images():
    # Five images together and one far away, which has no other image in its cluster; two that cannot be read.
    features = np.array([[0.0], [np.nan], [0.1], [0.2], [0.3], [np.nan], [0.4], [1000.0]], dtype=np.float32)
    readable = np.array([0, 2, 3, 4, 6, 7])
    found = refresh_readable(features, readable, NeighborSizes(2, 3), strategy='knn_kmeans')
    assert found.report['share_without_positive'] == 1 / 6
    assert (found.positives < 0).all(axis=1).tolist() == [False, True, False, False, False, True, False, True]
    assert set(found.positives[0][found.positives[0] >= 0]) == {2, 3, 4}


def test_changes_are_told_of_the_ids_of_all_images():
    features = features_of()
    first = refresh_readable(features, np.arange(120), SIZES, **OPTIONS)
    again = refresh_readable(with_holes(features), READABLE, SIZES, previous=first.positives, **OPTIONS)
    new = [j not in first.positives[i] for i, row in enumerate(again.positives) for j in row if j >= 0]
    assert again.report['positives_changed'] == np.mean(new) and 0 < np.mean(new) < 1
    same = refresh_readable(with_holes(features), READABLE, SIZES, previous=again.positives, **OPTIONS)
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
    found = refresh_readable(with_holes(features, bad), readable, sizes, **options)
    alone = refresh(features[readable], clipped, **options)
    np.testing.assert_array_equal(found.positives, mapped(alone.positives, readable, 12))
    assert found.centroids.shape == (clipped.num_clusters, 8)


def test_a_single_readable_image_has_no_positive():
    found = refresh_readable(
        with_holes(features_of(6), [0, 1, 2, 4, 5]), np.array([3]), NeighborSizes(2, 3), previous=np.full((6, 2), -1),
        num_positives=2)
    np.testing.assert_array_equal(found.positives, np.full((6, 2), -1))
    assert found.report['share_without_positive'] == 1.0
    assert math.isnan(found.report['positives_changed'])
