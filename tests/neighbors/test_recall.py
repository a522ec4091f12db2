"""Recall by hand."""

import numpy as np
import pytest

from clim_mm.neighbors import search
from clim_mm.neighbors.recall import Sample, draw_sample, recall_of

LINE = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]], dtype=np.float32)


def test_reach_is_the_distance_to_the_last_neighbor():
    sample = draw_sample(LINE, 2, num_queries=100, seed=0)
    np.testing.assert_array_equal(sample.ids, np.arange(5))
    np.testing.assert_allclose(sample.reach, [9, 4, 9, 16, 25])


def test_by_hand():
    sample = Sample(np.array([0, 3]), np.array([9.0, 16.0]), found=np.empty((2, 0), dtype=np.int64))
    assert recall_of(np.array([[1, 2], [4, 2]]), LINE, sample) == 1.0
    assert recall_of(np.array([[1, 3], [4, 2]]), LINE, sample) == 0.75
    assert recall_of(np.array([[1, -1], [0, -1]]), LINE, sample) == 0.25


def test_another_feature_at_the_same_distance_is_as_good():
    features = np.array([[0.0], [1.0], [-1.0], [5.0]], dtype=np.float32)
    sample = draw_sample(features, 1, num_queries=4, seed=0)
    for other in (1, 2):
        found = np.array([[other], [0], [0], [1]])
        assert recall_of(found, features, sample) == 1.0


def test_a_set_that_is_smaller_than_k():
    sample = draw_sample(LINE, 10, num_queries=5, seed=0)
    assert recall_of(search(LINE, 10), LINE, sample) == 1.0


@pytest.mark.parametrize('num_queries', [1, 50])
def test_the_exact_search_finds_all(num_queries):
    features = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    sample = draw_sample(features, 7, num_queries, seed=1)
    assert len(sample.ids) == num_queries
    assert recall_of(search(features, 7)[sample.ids], features, sample) == 1.0


def test_a_search_that_is_blind_finds_what_chance_gives():
    features = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    sample = draw_sample(features, 10, 500, seed=0)
    blind = np.stack([np.random.default_rng(i).permutation(np.delete(np.arange(500), i))[:10] for i in range(500)])
    assert recall_of(blind, features, sample) == pytest.approx(10 / 499, abs=0.01)


@pytest.mark.parametrize('spread', [1e-3, 1.0])
def test_features_that_lie_close_together_are_not_all_alike(spread):
    rng = np.random.default_rng(0)
    features = np.ones(7) + spread * rng.normal(size=(400, 7))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    sample = draw_sample(features, 10, 400, seed=0)
    exact = search(features, 10)
    half = np.where(rng.random(exact.shape) < 0.5, exact, [rng.permutation(np.delete(np.arange(400), i))[:10]
                                                          for i in range(400)])
    true = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(half.tolist(), exact.tolist(), strict=True)])
    assert recall_of(exact, features, sample) == 1.0
    assert recall_of(half, features, sample) == pytest.approx(true, abs=0.01)
