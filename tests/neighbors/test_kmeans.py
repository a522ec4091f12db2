"""k-means on features: assignments, objective, seeds, errors, threads."""

import os

import faiss
import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from clim_mm.neighbors import cluster, kmeans, train_centroids
from clim_mm.neighbors.faiss_backend import on_every_core
from clim_mm.neighbors.kmeans import (
    ITERATIONS,
    MAX_POINTS_PER_CENTROID,
    ON_ALL,
    ON_SAMPLE,
    POINTS_PER_CENTROID,
)


def blobs(num_samples=1200, dim=8, num_blobs=12, seed=0):
    return make_blobs(num_samples, dim, centers=num_blobs, cluster_std=2.0, random_state=seed)[0].astype(np.float32)


def squared_distances(points, centers):
    difference = points.astype(np.float64)[:, None] - centers.astype(np.float64)[None]
    return (difference**2).sum(axis=2)


def objective(points, centers):
    return squared_distances(points, centers).min(axis=1).sum()


def duplicated():
    return np.repeat(blobs(60), 10, axis=0)


def grid():
    return np.stack(np.meshgrid(np.arange(12), np.arange(12)), axis=-1).reshape(-1, 2).astype(np.float32)


@pytest.mark.parametrize('make, num_clusters', [(blobs, 40), (blobs, 1), (duplicated, 30), (duplicated, 100), (grid, 9),
                                                (grid, 144)])
def test_every_feature_is_assigned_to_its_nearest_centre(make, num_clusters):
    features = make()
    centroids, assignments = cluster(features, num_clusters)

    assert centroids.shape == (num_clusters, features.shape[1]) and centroids.dtype == np.float32
    assert assignments.shape == (len(features), ) and assignments.dtype == np.int64
    distances = squared_distances(features, centroids)
    chosen = distances[np.arange(len(features)), assignments]
    float32_rounding = 1e-6 * (features.astype(np.float64)**2).sum(axis=1).max()
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=0, atol=float32_rounding)


def test_assignments_are_those_of_float64_where_no_two_centres_are_near():
    features = blobs()
    centroids, assignments = cluster(features, 40)
    assert (assignments == squared_distances(features, centroids).argmin(axis=1)).mean() > 0.999


def test_duplicates_share_their_centre():
    assignments = cluster(duplicated(), 30)[1].reshape(60, 10)
    assert (assignments == assignments[:, :1]).all()


def test_one_cluster_is_centred_on_the_mean():
    features = blobs(200)
    centroids, assignments = cluster(features, 1)
    np.testing.assert_allclose(centroids[0], features.astype(np.float64).mean(axis=0), atol=1e-4)
    assert (assignments == 0).all()


def test_as_many_clusters_as_distinct_features_leave_no_distance():
    features = blobs(50)
    centroids, assignments = cluster(features, 50)
    assert sorted(assignments) == list(range(50))
    np.testing.assert_allclose(centroids[assignments], features)


def test_same_seed_same_result_and_another_seed_another():
    features = blobs()
    first, again, other = (cluster(features, 40, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_the_input_is_left_as_it_was():
    features = blobs()
    before = features.copy()
    cluster(features, 20)
    np.testing.assert_array_equal(features, before)


def test_float64_and_non_contiguous_input_give_the_same():
    features = blobs()
    expected = cluster(features, 20)
    wide = np.zeros((len(features), 16))
    wide[:, ::2] = features
    np.testing.assert_array_equal(cluster(wide[:, ::2], 20)[1], expected[1])


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_the_objective_beats_random_centres_and_is_near_that_of_sklearn(seed):
    features = blobs(2000, dim=6, num_blobs=30, seed=seed)
    found = objective(features, cluster(features, 60, seed=seed)[0])
    at_random = features[np.random.default_rng(seed).choice(len(features), 60, replace=False)]
    reference = KMeans(60, n_init=3, random_state=seed).fit(features).inertia_
    assert found < objective(features, at_random)
    assert found < 1.05 * reference


def test_more_iterations_do_not_worsen_the_objective(monkeypatch):
    features = blobs()
    values = []
    for iterations in (1, 5, 20):
        monkeypatch.setattr(kmeans, 'ITERATIONS', iterations)
        values.append(objective(features, cluster(features, 40)[0]))
    assert values[0] > values[1] >= values[2]


def test_training_on_a_sample_still_assigns_every_feature(monkeypatch):
    features = blobs()
    of_all = cluster(features, 12)[0]
    monkeypatch.setattr(kmeans, 'MAX_POINTS_PER_CENTROID', 10)
    centroids, assignments = cluster(features, 12)
    distances = squared_distances(features, centroids)
    np.testing.assert_allclose(distances[np.arange(len(features)), assignments], distances.min(axis=1), atol=1e-3)
    assert not np.array_equal(centroids, of_all)


@pytest.mark.parametrize('num_clusters', [0, -1, 21, 3.5, '3', True])
def test_more_clusters_than_features_or_none_is_an_error(num_clusters):
    with pytest.raises(ValueError, match=f'must be a whole number from 1 to 20, not {num_clusters!r}'):
        cluster(blobs(20), num_clusters)


def test_numpy_integers():
    for seed in (np.int64(3), 2**31 + 3):
        centroids, _ = cluster(blobs(20), np.int64(2), seed=seed)
        np.testing.assert_array_equal(centroids, cluster(blobs(20), 2, seed=3)[0])


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_an_error_that_names_its_row(value):
    features = blobs(20)
    features[[7, 11], 3] = value
    with pytest.raises(ValueError, match='NaN or infinity in 2 of 20 rows, first in row 7'):
        cluster(features, 2)


@pytest.mark.parametrize('shape', [(20, ), (4, 5, 2), (0, 5)])
def test_anything_but_a_matrix_is_an_error(shape):
    with pytest.raises(ValueError, match='non-empty'):
        cluster(np.zeros(shape), 1)


@pytest.fixture
def one_thread():
    faiss_threads, torch_threads = faiss.omp_get_max_threads(), torch.get_num_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    yield
    torch.set_num_threads(torch_threads)
    faiss.omp_set_num_threads(faiss_threads)


def test_thread_counts_are_restored(one_thread):
    assert on_every_core(faiss.omp_get_max_threads)() == len(os.sched_getaffinity(0))
    cluster(blobs(), 20)
    assert faiss.omp_get_max_threads() == 1 and torch.get_num_threads() == 1


def test_thread_counts_are_restored_after_an_error(one_thread):
    with pytest.raises(ValueError):
        cluster(blobs(20), 21)
    assert faiss.omp_get_max_threads() == 1 and torch.get_num_threads() == 1


def even(rng, num, dim):
    return rng.normal(size=(20, dim))[rng.integers(20, size=num)] + rng.normal(size=(num, dim)) * 0.5


def unequal(rng, num, dim):
    sizes = rng.pareto(1.2, 60) + 1
    group = rng.choice(60, num, p=sizes / sizes.sum())
    noise = rng.standard_t(3, size=(num, dim)) * rng.uniform(0.1, 0.5, 60)[group, None]
    return rng.normal(size=(60, dim))[group] + noise


def uniform(rng, num, dim):
    return rng.normal(size=(num, dim))


@pytest.mark.parametrize('family', [even, unequal, uniform])
def test_the_objective_is_within_one_percent_of_all_the_iterations(family):
    first, later = [], []
    for seed in range(3):  # one run ends up to 1.5 % from another with a different seed
        rng = np.random.default_rng(seed)
        features = family(rng, 8000, 16).astype(np.float32)
        moved = (features + 0.1 * rng.normal(size=features.shape)).astype(np.float32)
        reference = objective(features, cluster(features, 60, seed=seed)[0])
        start = train_centroids(moved, 60, seed=seed + 10)
        first.append(objective(features, train_centroids(features, 60, seed=seed)) / reference)
        later.append(objective(features, train_centroids(features, 60, seed=seed, start=start)) / reference)
    assert np.mean(first) < 1.01 and np.mean(later) < 1.01


@pytest.fixture
def stops(monkeypatch):
    """Sets the points a centre of the sample, and when the iterations on it and on all stop."""

    def set_to(points, on_sample=ON_SAMPLE, on_all=ON_ALL, iterations=ITERATIONS):
        monkeypatch.setattr(kmeans, 'POINTS_PER_CENTROID', points)
        monkeypatch.setattr(kmeans, 'ON_SAMPLE', on_sample)
        monkeypatch.setattr(kmeans, 'ON_ALL', on_all)
        monkeypatch.setattr(kmeans, 'ITERATIONS', iterations)

    return set_to


@pytest.fixture
def rows_of_iterations(monkeypatch):
    """Features that each iteration of faiss is given."""
    rows = []
    train = faiss.Kmeans.train

    def recorded(self, x, **kwargs):
        rows.append(len(x))
        return train(self, x, **kwargs)

    monkeypatch.setattr(faiss.Kmeans, 'train', recorded)
    return rows


def test_iterations_stop_once_they_gain_little(rows_of_iterations, stops):
    features = blobs()
    stops(10, 0.1, 0.0, iterations=50)
    centroids = train_centroids(features, 40)
    assert 2 <= rows_of_iterations.count(400) < 20
    assert 2 < rows_of_iterations.count(1200) < 50, 'k-means gains nothing once no feature changes its cluster'
    rows_of_iterations.clear()
    again = train_centroids(features, 40, start=centroids)
    assert rows_of_iterations == [1200] * 2, 'the second tells that the first gained nothing'
    np.testing.assert_allclose(again, centroids, atol=1e-4)


def test_iterations_stop_in_any_case(rows_of_iterations, stops):
    stops(10, -1.0, -1.0, iterations=3)
    train_centroids(blobs(), 40)
    assert rows_of_iterations == [400] * 3 + [1200] * 3
    rows_of_iterations.clear()
    stops(30, -1.0, -1.0, iterations=3)
    train_centroids(blobs(), 40)
    assert rows_of_iterations == [1200] * 3, 'a sample of all is none'


def test_one_iteration_on_all_by_hand(stops):
    features = np.array([[0.0], [1.0], [10.0], [12.0]], dtype=np.float32)
    start = np.array([[0.0], [9.0]], dtype=np.float32)
    stops(POINTS_PER_CENTROID, iterations=1)
    centroids = train_centroids(features, 2, start=start)
    np.testing.assert_allclose(centroids, [[0.5], [11.0]])


def test_centroids_are_the_same_with_the_same_seed(stops):
    features = blobs()
    stops(10)
    first, again, other = (train_centroids(features, 40, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize('start', [np.zeros((3, 8)), np.zeros((40, 7)), np.full((40, 8), np.nan)])
def test_a_start_that_does_not_fit_is_an_error(start):
    with pytest.raises(ValueError, match='start has'):
        train_centroids(blobs(), 40, start=start)


def test_what_is_counted_is_what_cluster_does(monkeypatch):
    """By faiss's own account, on a set of which it takes a sample."""
    taken = {}
    train = faiss.Kmeans.train

    def noted(self, x, *args, **kwargs):
        train(self, x, *args, **kwargs)
        taken.update(iterations=len(self.obj), points=self.cp.max_points_per_centroid)

    monkeypatch.setattr(faiss.Kmeans, 'train', noted)
    cluster(np.random.default_rng(0).random((6000, 4), dtype=np.float32), 20)
    assert taken == dict(iterations=ITERATIONS, points=MAX_POINTS_PER_CENTROID)
