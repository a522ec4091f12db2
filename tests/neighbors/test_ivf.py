"""Neighbours by lists against the exact search: recall, widening, the way back, memory."""

import faiss
import numpy as np
import pytest
from sklearn.datasets import make_blobs

from clim_mm.neighbors import ivf as ivf_module
from clim_mm.neighbors import ivf_search, search, train_centroids
from clim_mm.neighbors.exact_search import recall_of, search_sample
from clim_mm.neighbors.ivf import list_ranks, search_lists_on_cpu, search_lists_on_gpus
from clim_mm.neighbors.kmeans import nearest_centroids


def blobs(num_samples=3000, dim=16, num_blobs=60, spread=1.5, seed=0):
    return make_blobs(num_samples, dim, centers=num_blobs, cluster_std=spread, random_state=seed)[0].astype(np.float32)


def overlap(a, b):
    return np.mean([len(set(x) & set(y)) / len(x) for x, y in zip(a.tolist(), b.tolist(), strict=True)])


@pytest.fixture(scope='module')
def searched():
    features = blobs()
    return features, train_centroids(features, 60), search(features, 12)


def test_nearly_all_neighbors_are_found_in_few_lists(searched):
    features, centroids, exact = searched
    found = ivf_search(features, 12, centroids, nprobe=4, least_recall=0.95)
    assert found.neighbors.shape == (3000, 12) and found.neighbors.dtype == np.int32 and found.nprobe == 4
    assert overlap(found.neighbors, exact) > 0.95
    assert (found.neighbors != np.arange(3000)[:, None]).all()
    nearest = ((features[:, None] - centroids[None])**2).sum(axis=2).argmin(axis=1)
    assert (found.assignments == nearest).mean() > 0.999


def test_the_recall_of_the_sample_is_that_of_all(searched):
    features, centroids, exact = searched
    for nprobe in (1, 2):
        found = ivf_search(features, 12, centroids, nprobe=nprobe, least_recall=0.0)
        assert found.nprobe == nprobe
        assert found.recall == pytest.approx(overlap(found.neighbors, exact), abs=0.01)


def test_the_search_widens_until_the_bound_is_met():
    features = np.random.default_rng(0).normal(size=(2000, 6)).astype(np.float32)
    centroids = train_centroids(features, 100)
    narrow = ivf_search(features, 10, centroids, nprobe=1, least_recall=0.0)
    wide = ivf_search(features, 10, centroids, nprobe=1, least_recall=narrow.recall + 0.1)
    assert narrow.nprobe == 1 and wide.nprobe in (2, 4, 8)
    assert wide.recall >= narrow.recall + 0.1
    assert overlap(wide.neighbors, search(features, 10)) > narrow.recall + 0.08


def test_what_lists_can_find_is_known_before_they_are_searched():
    features = np.random.default_rng(0).normal(size=(2000, 6)).astype(np.float32)
    centroids = train_centroids(features, 100)
    ids, exact = search_sample(features, 10, 500, seed=0)
    assignments = nearest_centroids(features, centroids)
    ranks = list_ranks(centroids[assignments[ids]], centroids, 100, assignments[exact])
    shares = []
    for nprobe in (1, 4, 100):
        found = search_lists_on_cpu(features, 10, centroids, assignments, nprobe)
        shares.append((ranks < nprobe).mean())
        assert shares[-1] == pytest.approx(recall_of(found[ids], features, ids, exact), abs=1e-3)
    assert shares[0] < 0.5 < shares[1] < shares[2] == 1.0


def test_ranks_by_hand():
    centroids = np.array([[0.0], [1.0], [5.0], [2.0]], dtype=np.float32)
    lists = np.array([[0, 2, 3], [3, 1, 0]])
    queries = np.array([[0.1], [2.1]], dtype=np.float32)
    assert list_ranks(queries, centroids, 4, lists).tolist() == [[0, 3, 2], [0, 1, 2]]
    assert list_ranks(queries, centroids, 2, lists).tolist() == [[0, 2, 2], [0, 1, 2]]


def test_lists_that_cannot_find_enough_are_not_searched(monkeypatch):
    features = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    monkeypatch.setattr(ivf_module, 'search_lists_on_cpu', lambda *args: pytest.fail('searched'))
    assert ivf_search(features, 10, features[:50], nprobe=1, least_recall=0.999).nprobe == 0


def test_a_search_that_misses_what_is_in_the_lists_is_not_taken(searched, monkeypatch):
    features, centroids, exact = searched
    monkeypatch.setattr(ivf_module, 'search_lists_on_cpu', lambda *args: np.full((3000, 12), -1, dtype=np.int32))
    found = ivf_search(features, 12, centroids, nprobe=8)
    assert found.nprobe == 0 and found.recall >= 0.999
    assert overlap(found.neighbors, exact) > 0.999


def test_all_are_compared_where_lists_do_not_help():
    features = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    found = ivf_search(features, 10, train_centroids(features, 50), nprobe=1, least_recall=0.999)
    assert (found.nprobe, found.recall) == (0, 1.0)
    assert overlap(found.neighbors, search(features, 10)) == 1.0


def test_every_list_visited_is_exact(searched):
    features, centroids, exact = searched
    found = ivf_search(features, 12, centroids, nprobe=1000)
    assert found.nprobe == 60 and found.recall == 1.0
    assert overlap(found.neighbors, exact) > 0.999


def test_lists_that_are_not_visited_leave_minus_one():
    # Two far groups of five, of which each query visits its own.
    features = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    features[5:] += 100.0
    centroids = np.stack([features[:5].mean(axis=0), features[5:].mean(axis=0)])
    found = ivf_search(features, 8, centroids, nprobe=1, least_recall=0.0).neighbors
    for i, row in enumerate(found.tolist()):
        group = range(5) if i < 5 else range(5, 10)
        assert sorted(row[:4]) == [j for j in group if j != i]
        assert row[4:] == [-1] * 4


def test_more_duplicates_than_neighbors(searched):
    features, centroids, _ = searched
    features = features.copy()
    features[40:70] = features[40]
    found = ivf_search(features, 5, centroids, nprobe=8).neighbors
    assert ((found[40:70] >= 40) & (found[40:70] < 70)).all()
    assert (found != np.arange(3000)[:, None]).all()
    assert all(len(set(row)) == 5 for row in found[40:70].tolist())


def test_lists_without_features_are_passed_over(searched):
    features, centroids, exact = searched
    far = np.concatenate([centroids, np.full((3, 16), 1e3, dtype=np.float32)])
    found = ivf_search(features, 12, far, nprobe=1000)
    assert found.nprobe == 63 and overlap(found.neighbors, exact) > 0.999


def test_the_index_of_gpus_finds_what_the_lists_of_the_cpu_find(searched, monkeypatch):
    features, centroids, exact = searched
    monkeypatch.setattr(faiss, 'GpuParameterSpace', faiss.ParameterSpace, raising=False)  # faiss-cpu has that alone
    assignments = ((features[:, None] - centroids[None])**2).sum(axis=2).argmin(axis=1)
    for nprobe, least in [(60, 0.999), (4, 0.95)]:
        found = search_lists_on_gpus(features, 12, centroids, assignments, nprobe)
        assert found.shape == (3000, 12) and overlap(found, exact) > least
        assert overlap(found, search_lists_on_cpu(features, 12, centroids, assignments, nprobe)) > least
