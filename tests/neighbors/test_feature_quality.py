"""Alignment, uniformity and rank of features, by hand and by definition."""

import numpy as np
import pytest
from plain_features import ON_A_CIRCLE, random_features, unit

from clim_mm.neighbors.feature_quality import alignment, feature_quality, rank_me, spread_ids, uniformity


def test_alignment_by_hand():
    # Squared chords: 0 to 60 degrees 1, 60 to 90 degrees 2 - sqrt 3, 180 to 0 degrees 4.
    positives = np.array([[1, -1], [2, -1], [-1, -1], [0, 0]])
    assert alignment(ON_A_CIRCLE * 3, positives) == pytest.approx((1 + 2 - np.sqrt(3) + 4 + 4) / 4)
    assert alignment(ON_A_CIRCLE, positives, power=1) == pytest.approx((1 + np.sqrt(2 - np.sqrt(3)) + 2 + 2) / 4)
    assert np.isnan(alignment(ON_A_CIRCLE, np.full((4, 2), -1)))
    assert alignment(ON_A_CIRCLE, positives, most=2) == pytest.approx((1 + 4 + 4) / 3)  # the first and the last anchor


def test_uniformity_by_hand():
    # Squared chords of the six pairs of 0, 60, 90 and 180 degrees.
    squared = [1, 2, 4, 2 - np.sqrt(3), 3, 2]
    for t in (2.0, 0.5):
        assert uniformity(ON_A_CIRCLE, t) == pytest.approx(np.log(np.mean(np.exp(-t * np.array(squared)))))
    assert uniformity(np.ones((5, 3))) == pytest.approx(0)


def test_uniformity_over_several_blocks_and_of_a_sample():
    features = random_features(2500)
    rows = unit(features)
    distances = ((rows[:, None] - rows[None])**2).sum(axis=2)[np.triu_indices(2500, 1)]
    expected = np.log(np.exp(-2 * distances).mean())
    assert uniformity(features, most=2500) == pytest.approx(expected, abs=1e-9)
    sampled = uniformity(features, most=1200)
    assert sampled != pytest.approx(expected, abs=1e-9) and sampled == pytest.approx(expected, abs=0.02)
    assert sampled == uniformity(features[spread_ids(2500, 1200)], most=1200)


@pytest.mark.parametrize('used, dim', [(1, 5), (3, 5), (5, 5)])
def test_rank_of_equally_used_directions(used, dim):
    features = np.tile(np.eye(dim)[:used], (7, 1)).astype(np.float32)
    assert rank_me(features) == pytest.approx(used)
    assert rank_me(1000 * features) == pytest.approx(used)  # of no unit


def test_rank_by_the_singular_values():
    features = random_features(300, 12) * np.geomspace(1, 1e-3, 12, dtype=np.float32)
    shares = np.linalg.svd(features.astype(np.float64), compute_uv=False)
    shares /= shares.sum()
    assert rank_me(features) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-9)
    assert rank_me(features, most=50) == rank_me(features[spread_ids(300, 50)]) != rank_me(features)
    assert rank_me(features[:1]) == pytest.approx(1)


@pytest.mark.parametrize('number, dim', [(30, 200), (700, 2100)])
def test_rank_of_long_features(number, dim):
    features = random_features(number, dim)
    seen = features[spread_ids(number, 512)]
    shares = np.linalg.svd(seen.astype(np.float64), compute_uv=False)
    shares /= shares.sum()
    assert rank_me(features) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-9)


def test_a_dead_network_has_no_rank_and_ends_no_training():
    zeros = np.zeros((4, 3), np.float32)
    figures = feature_quality(zeros, np.array([[1], [0], [3], [-1]]))
    assert np.isnan(figures.pop('rank_me')) and figures == dict(alignment=0, uniformity=0)


def test_the_same_images_spread_over_the_set():
    assert spread_ids(5, 10).tolist() == [0, 1, 2, 3, 4]
    ids = spread_ids(1000, 11)
    assert len(ids) == 11 and ids[0] == 0 and ids[-1] == 999 and (np.abs(np.diff(ids) - 99.9) < 1).all()
