"""All features compared with all in pairs, against faiss's exact search."""

import faiss
import numpy as np
import pytest
import torch

from clim_mm.neighbors import ivf_search, search, symmetric_search
from clim_mm.neighbors.symmetric_search import (
    RunningNearest,
    SymmetricSearch,
    dtypes_by_speed,
    half_distances,
    rounded_with_norms,
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(symmetric_search, '_ROWS', 128)


def random(num=1000, dim=24, seed=0):
    return np.random.default_rng(seed).normal(size=(num, dim)).astype(np.float32)


def overlap(a, b):
    return np.mean([len(set(x) & set(y)) / len(x) for x, y in zip(a.tolist(), b.tolist(), strict=True)])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32])
@pytest.mark.parametrize('num', [1000, 1024, 1025])
def test_pairs_find_what_the_exact_search_finds(dtype, num):
    features = random(num) + 3  # far from the origin, where rounding would be coarser
    found = SymmetricSearch(features, 10, dtype).neighbors()
    assert found.shape == (num, 10) and found.dtype == np.int32
    assert overlap(found, search(features, 10)) > 0.9999
    assert (found == search(features, 10)).mean() > 0.999, 'in the order of float32'


def test_duplicates_are_neighbors_of_each_other_and_not_of_themselves():
    features = random()
    features[300:340] = features[300]
    found = SymmetricSearch(features, 5, torch.bfloat16).neighbors()
    assert ((found[300:340] >= 300) & (found[300:340] < 340)).all()
    assert (found != np.arange(1000)[:, None]).all()
    assert all(len(set(row)) == 5 for row in found.tolist())


def test_features_that_are_all_the_same_have_neighbors():
    found = SymmetricSearch(np.ones((500, 4), dtype=np.float32), 5, torch.bfloat16).neighbors()
    assert (found >= 0).all() and (found != np.arange(500)[:, None]).all()


def test_threads_change_nothing():
    features = random()
    one, three = (on_threads(threads, SymmetricSearch(features, 10, torch.float32).neighbors) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


def on_threads(threads, function):
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        return function()
    finally:
        faiss.omp_set_num_threads(before)


def test_products_are_half_the_squared_distances():
    features = random(200) + 3
    true = 0.5 * ((features[:, None].astype(np.float64) - features[None])**2).sum(axis=2)
    for dtype, tolerance in [(torch.float32, 1e-6), (torch.bfloat16, 0.01)]:
        rounded = rounded_with_norms(torch.from_numpy(features - features.mean(axis=0)), dtype)
        bits = half_distances(rounded, rounded)
        distances = torch.from_numpy(bits.copy()).view(dtype).float().numpy()
        assert np.abs(distances - true).max() < tolerance * true.max()
        order = np.argsort(distances[0, 1:], kind='stable')
        np.testing.assert_array_equal(order, np.argsort(bits[0, 1:], kind='stable'))


def test_float32_is_always_among_the_types():
    assert dtypes_by_speed(16) in ([torch.float32], [torch.bfloat16, torch.float32])


def test_pairs_take_the_place_of_the_exact_search_above_their_recall(monkeypatch):
    features = random(1200, dim=64)
    centroids = features[:60]
    found = ivf_search(features, 10, centroids, nprobe=1, least_recall=0.99)
    assert found.nprobe == 0 and found.recall >= 0.999
    assert overlap(found.neighbors, search(features, 10)) >= 0.999

    monkeypatch.setattr(SymmetricSearch, 'neighbors', lambda self, progress: np.tile(np.arange(10), (1200, 1)))
    found = ivf_search(features, 10, centroids, nprobe=1, least_recall=0.99)
    assert (found.nprobe, found.recall) == (0, 1.0)
    np.testing.assert_array_equal(found.neighbors, search(features, 10))


def test_the_nearest_so_far_by_hand():
    near = RunningNearest(2, 2, np.dtype(np.int16))
    assert (near.limit == 32767).all() and (near.ids() == -1).all()
    near.add(np.array([0, 0, 0, 1]), np.array([7, 8, 9, 5]), np.array([30, 10, 20, 4], dtype=np.int16))
    assert sorted(near.ids()[0]) == [8, 9] and sorted(near.ids()[1]) == [-1, 5]
    assert near.limit.tolist() == [20, 32767]
    near.add(np.array([0, 1, 1]), np.array([3, 2, 1]), np.array([-5, 0, -1], dtype=np.int16))
    assert sorted(near.ids()[0]) == [3, 8] and sorted(near.ids()[1]) == [1, 2]
    assert near.limit.tolist() == [10, -32768], 'no distance is nearer than zero'
