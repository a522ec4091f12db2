"""A stored table beside clusters and neighbours of other features."""

import numpy as np
import pytest

from clim_mm.neighbors.restored import restored

POSITIVES = np.array([[1, -1], [0, 3], [-1, -1], [1, 0], [-1, -1]], dtype=np.int32)
CENTERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], dtype=np.float32)
FEATURES = np.array([[1, 0], [2, 0], [np.nan, np.nan], [8, 0], [0, 7]], dtype=np.float32)
READABLE = np.array([0, 1, 3, 4])


def test_a_case_by_hand():
    found = restored(FEATURES, READABLE, POSITIVES, CENTERS, 2)
    np.testing.assert_array_equal(found.assignments, [0, 0, -1, 1, 2])
    np.testing.assert_array_equal(found.neighbors, [[1, 3], [0, 3], [-1, -1], [1, 0], [0, 1]])
    np.testing.assert_array_equal(found.positives, POSITIVES)
    np.testing.assert_array_equal(found.centroids, CENTERS)
    assert found.report == dict(share_without_positive=0.4)


def test_no_more_neighbours_than_images():
    assert restored(FEATURES, READABLE, POSITIVES, CENTERS, 40).neighbors.shape == (5, 3)


def test_the_nearest_centre_against_brute_force():
    rng = np.random.default_rng(0)
    features, centroids = (rng.normal(size=shape).astype(np.float32) for shape in ((300, 8), (17, 8)))
    distances = ((features.astype(np.float64)[:, None] - centroids[None])**2).sum(axis=2)
    found = restored(features, np.arange(300), np.full((300, 1), -1, dtype=np.int32), centroids, 5)
    np.testing.assert_array_equal(found.assignments, distances.argmin(axis=1))


def test_centres_of_other_features_are_refused():
    with pytest.raises(ValueError, match='Features of length 2 do not belong to centres of length 3'):
        restored(FEATURES, READABLE, POSITIVES, np.zeros((2, 3), np.float32), 2)
