"""Whitened features: what is equal afterwards, and what stays."""

import numpy as np
import pytest

from clim_mm.errors import ConfigError
from clim_mm.neighbors import faiss_backend
from clim_mm.neighbors.whitening import whitened


def anisotropic(number=4000, deviations=(8.0, 2.0, 0.5), mean=(5.0, -1.0, 3.0), seed=0):
    """Features along turned axes of unequal spread, around a mean."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(len(deviations), len(deviations))))
    return ((rng.normal(size=(number, len(deviations))) * deviations) @ turn + mean).astype(np.float32), turn


def test_by_the_definition():
    features, _ = anisotropic()
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    _, spread, axes = np.linalg.svd(centred / np.sqrt(len(features)), full_matrices=False)
    expected = centred @ axes.T @ np.diag(1 / (spread + 0.1 * spread[0])) @ axes
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = whitened(features, 0.1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_direction_decides_alone():
    features, turn = anisotropic()
    of_axes = (whitened(features, 1e-6) @ turn.T).std(axis=0)
    np.testing.assert_allclose(of_axes, np.full(3, 3**-0.5), atol=0.02)
    of_axes = (whitened(features, 1e6) @ turn.T).std(axis=0)
    assert of_axes[0] > 5 * of_axes[2], 'a large floor divides all by the same'


def test_blocks_change_nothing(monkeypatch):
    features, _ = anisotropic(100)
    whole = whitened(features)
    monkeypatch.setattr(faiss_backend, 'NUMBERS_PER_BLOCK', 21)
    np.testing.assert_allclose(whitened(features), whole, atol=1e-6)


def test_where_there_is_nothing_to_divide_by():
    assert not whitened(np.ones((5, 3), np.float32)).any(), 'all are the mean'
    flat = np.array([[1, 0, 4], [-1, 0, 4], [3, 0, 4]], np.float32)
    found = whitened(flat)
    np.testing.assert_allclose(found, [[0, 0, 0], [-1, 0, 0], [1, 0, 0]], atol=1e-6)


@pytest.mark.parametrize('floor', [0, -1, float('nan'), True, 'much'])
def test_what_is_no_floor(floor):
    with pytest.raises(ConfigError, match='whiten must be a number above 0'):
        whitened(np.ones((2, 2), np.float32), floor)
