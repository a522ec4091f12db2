"""Nearest neighbours against a brute-force search in float64."""

import importlib

import numpy as np
import pytest

from clim_mm.neighbors import search
from clim_mm.neighbors.exact_search import recall_of, search_sample

# The package's attribute `search` is the function, which hides the module.
search_module = importlib.import_module('clim_mm.neighbors.exact_search')


def distances_to_others(features):
    features = features.astype(np.float64)
    distances = np.stack([((features - row)**2).sum(axis=1) for row in features])
    np.fill_diagonal(distances, np.inf)
    return distances


def check(features, neighbors, k, atol):
    """Assert that each row holds k nearest others: by their distances, since ties may be taken in any order."""
    distances = distances_to_others(features)
    assert neighbors.shape == (len(features), k) and neighbors.dtype == np.int32
    assert neighbors.min() >= 0 and neighbors.max() < len(features)
    assert (neighbors != np.arange(len(features))[:, None]).all()
    assert all(len(set(row)) == k for row in neighbors.tolist())
    found = np.take_along_axis(distances, neighbors, axis=1)
    np.testing.assert_allclose(found, np.sort(distances, axis=1)[:, :k], rtol=0, atol=atol)


def normalized(num_samples, dim, seed=0):
    features = np.random.default_rng(seed).normal(size=(num_samples, dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def integer_grid():
    return np.stack(np.meshgrid(np.arange(15), np.arange(15)), axis=-1).reshape(-1, 2).astype(np.float32)


@pytest.mark.parametrize('num_samples, dim, k', [(400, 16, 10), (700, 128, 40), (300, 2, 1), (50, 3, 49)])
def test_random_features(num_samples, dim, k):
    features = normalized(num_samples, dim)
    check(features, search(features, k), k, atol=2e-6)


def test_more_duplicates_than_neighbors():
    # 30 copies of one row and k = 5: the row itself need not be among its k + 1 nearest.
    features = normalized(200, 8)
    features[40:70] = features[40]
    neighbors = search(features, 5)
    check(features, neighbors, 5, atol=2e-6)
    assert ((neighbors[40:70] >= 40) & (neighbors[40:70] < 70)).all()


def test_every_row_is_the_same():
    features = np.tile(normalized(1, 8), (100, 1))
    check(features, search(features, 7), 7, atol=2e-6)


def test_fewer_duplicates_than_neighbors_all_stay_in():
    features = np.repeat(normalized(50, 8), 4, axis=0)
    neighbors = search(features, 6)
    check(features, neighbors, 6, atol=2e-6)
    assert (neighbors[:, :3] // 4 == np.arange(200)[:, None] // 4).all()


@pytest.mark.parametrize('k', [1, 2, 3, 4, 8, 20])
def test_ties(k):
    # Small integers: float32 distances are exact.
    features = np.concatenate([integer_grid(), integer_grid()[::7]])
    check(features, search(features, k), k, atol=0)


def test_by_hand():
    features = np.array([[0.0], [1.0], [3.0], [7.0]])
    np.testing.assert_array_equal(search(features, 3), [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]])


@pytest.mark.parametrize('k', [5, 6, 7, 12])
def test_a_set_that_is_too_small_ends_with_minus_one(k):
    features = normalized(7, 4)
    neighbors = search(features, k)
    check(features, neighbors[:, :6], min(k, 6), atol=2e-6)
    assert neighbors.shape == (7, k) and (neighbors[:, 6:] == -1).all()


def test_a_single_feature_has_no_neighbor():
    np.testing.assert_array_equal(search(np.ones((1, 3)), 2), [[-1, -1]])


@pytest.mark.parametrize('block', [1, 37, 299, 300, 301])
def test_blocks_of_queries_change_nothing(monkeypatch, block):
    features = normalized(300, 16)
    features[120:140] = features[120]
    expected = search(features, 8)
    monkeypatch.setattr(search_module, '_QUERIES_PER_BLOCK', block)
    neighbors = search(features, 8)
    check(features, neighbors, 8, atol=2e-6)
    unique = np.r_[0:120, 140:300]
    np.testing.assert_array_equal(neighbors[unique][:, 0], expected[unique][:, 0])
    assert (neighbors[unique] == expected[unique]).mean() > 0.99


@pytest.mark.parametrize('block', [1, 29])
def test_blocks_of_queries_with_ties(monkeypatch, block):
    monkeypatch.setattr(search_module, '_QUERIES_PER_BLOCK', block)
    check(integer_grid(), search(integer_grid(), 5), 5, atol=0)


@pytest.mark.parametrize('k', [0, -3, 2.0, '2', True])
def test_no_neighbors_is_an_error(k):
    with pytest.raises(ValueError, match=f'k must be a whole number of at least 1, not {k!r}'):
        search(normalized(10, 4), k)


def test_numpy_integers():
    np.testing.assert_array_equal(search(normalized(10, 4), np.int64(3)), search(normalized(10, 4), 3))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_an_error_that_names_its_row(value):
    features = normalized(10, 4)
    features[6, 1] = value
    with pytest.raises(ValueError, match='features has NaN or infinity in 1 of 10 rows, first in row 6'):
        search(features, 2)


def test_anything_but_a_matrix_is_an_error():
    with pytest.raises(ValueError, match='non-empty'):
        search(np.zeros(5), 2)


LINE = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]], dtype=np.float32)


def test_a_sample_of_all():
    ids, exact = search_sample(LINE, 2, num_queries=100, seed=0)
    np.testing.assert_array_equal(ids, np.arange(5))
    np.testing.assert_array_equal(exact, [[1, 2], [0, 2], [1, 0], [4, 2], [3, 2]])


def test_recall_by_hand():
    sample = np.array([0, 3]), np.array([[1, 2], [4, 2]])
    assert recall_of(np.array([[1, 2], [4, 2]]), LINE, *sample) == 1.0
    assert recall_of(np.array([[1, 3], [4, 2]]), LINE, *sample) == 0.75
    assert recall_of(np.array([[1, -1], [0, -1]]), LINE, *sample) == 0.25


def test_another_feature_at_the_same_distance_is_as_good():
    features = np.array([[0.0], [1.0], [-1.0], [5.0]], dtype=np.float32)
    sample = search_sample(features, 1, num_queries=4, seed=0)
    for other in (1, 2):
        found = np.array([[other], [0], [0], [1]])
        assert recall_of(found, features, *sample) == 1.0


def test_a_set_that_is_smaller_than_k():
    sample = search_sample(LINE, 10, num_queries=5, seed=0)
    assert recall_of(search(LINE, 10), LINE, *sample) == 1.0


@pytest.mark.parametrize('num_queries', [1, 50])
def test_the_exact_search_finds_all(num_queries):
    features = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    sample = search_sample(features, 7, num_queries, seed=1)
    assert len(sample[0]) == num_queries
    assert recall_of(search(features, 7)[sample[0]], features, *sample) == 1.0


def test_a_search_that_is_blind_finds_what_chance_gives():
    features = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    sample = search_sample(features, 10, 500, seed=0)
    blind = np.stack([np.random.default_rng(i).permutation(np.delete(np.arange(500), i))[:10] for i in range(500)])
    assert recall_of(blind, features, *sample) == pytest.approx(10 / 499, abs=0.01)


@pytest.mark.parametrize('spread', [1e-3, 1.0])
def test_features_that_lie_close_together_are_not_all_alike(spread):
    rng = np.random.default_rng(0)
    features = np.ones(7) + spread * rng.normal(size=(400, 7))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    sample = search_sample(features, 10, 400, seed=0)
    exact = search(features, 10)
    half = np.where(rng.random(exact.shape) < 0.5, exact, [rng.permutation(np.delete(np.arange(400), i))[:10]
                                                          for i in range(400)])
    true = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(half.tolist(), exact.tolist(), strict=True)])
    assert recall_of(exact, features, *sample) == 1.0
    assert recall_of(half, features, *sample) == pytest.approx(true, abs=0.01)
