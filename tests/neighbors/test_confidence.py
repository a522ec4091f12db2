"""Whose positives are kept."""

import numpy as np
import pytest

from clim_mm.errors import ConfigError
from clim_mm.neighbors import faiss_backend
from clim_mm.neighbors.confidence import left_to_the_surest, mean_similarity

ANGLES = np.radians([0, 10, 40, 90, 180])
FEATURES = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
POSITIVES = np.array([[1, 2], [0, -1], [3, -1], [-1, -1], [0, 3]], np.int32)


def test_the_mean_cosine_of_those_that_are_there():
    expected = [(np.cos(ANGLES[1]) + np.cos(ANGLES[2])) / 2, np.cos(ANGLES[1]), np.cos(np.radians(50)), np.nan, -0.5]
    np.testing.assert_allclose(mean_similarity(POSITIVES, FEATURES), expected, atol=1e-6)


@pytest.mark.parametrize('share, kept', [(1, [0, 1, 2, 4]), (0.6, [0, 1, 2]), (0.5, [0, 1]), (0.01, [1])])
def test_the_surest_keep_all_of_theirs(share, kept):
    found = left_to_the_surest(POSITIVES, FEATURES, share)
    np.testing.assert_array_equal(found[kept], POSITIVES[kept])
    assert (np.delete(found, kept, axis=0) == -1).all() and found.dtype == np.int32


def test_none_has_any():
    none = np.full((3, 2), -1, np.int32)
    np.testing.assert_array_equal(left_to_the_surest(none, FEATURES[:3], 0.5), none)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    features, positives = rng.normal(size=(50, 4)), rng.integers(-1, 50, size=(50, 3))
    whole = mean_similarity(positives, features)
    monkeypatch.setattr(faiss_backend, 'NUMBERS_PER_BLOCK', 21)
    np.testing.assert_array_equal(mean_similarity(positives, features), whole)


@pytest.mark.parametrize('share', [0, 1.1, float('nan'), 'half'])
def test_what_is_no_share(share):
    with pytest.raises(ConfigError, match='surest must be a number above 0 and of at most 1'):
        left_to_the_surest(POSITIVES, FEATURES, share)
