"""Clusters and neighbours of features that lie in a file: those of the plain functions, in bounded memory."""

import numpy as np
import pytest
from gloo import on_processes
from measured_memory import peak_bytes_of

from clim_mm.embedding import stored_features
from clim_mm.embedding.stored_features import (
    compared_with_all,
    cosine_distances,
    default_num_clusters,
    find,
    new_file,
)
from clim_mm.errors import MachineError
from clim_mm.neighbors import search


def stored(folder, number, dim=16, groups=20, seed=0):
    """L2-normalised features in a file, in groups."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(groups, dim))[rng.integers(groups, size=number)] + 0.5 * rng.normal(size=(number, dim))
    file = new_file(str(folder), 'features', (number, dim))
    file[:] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return file


def test_each_is_compared_with_all(tmp_path, monkeypatch):
    features = stored(tmp_path, 700)
    monkeypatch.setattr(stored_features, '_QUERIES_AT_ONCE', 256)
    np.testing.assert_array_equal(compared_with_all(features, 9), search(features, 9))
    found = find(features, 9, 12, str(tmp_path))
    assert found.recall == 1 and found.clusters.dtype == np.int32 and set(found.clusters) == set(range(12))
    np.testing.assert_array_equal(found.neighbors, search(features, 9))
    expected = 1 - np.take_along_axis(features @ features.T, found.neighbors.astype(int), axis=1)
    np.testing.assert_allclose(found.distances, expected, atol=1e-6)
    assert (np.diff(found.distances, axis=1) >= -1e-6).all()


def test_large_sets_by_lists(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_features, 'is_exact', lambda exact, number: False)
    features = stored(tmp_path, 3000)
    found = find(features, 5, 60, str(tmp_path))
    agree = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.neighbors, search(features, 5), strict=True)])
    assert 0.99 <= found.recall <= 1 and agree == pytest.approx(found.recall, abs=0.01)


def test_more_lists_until_the_neighbours_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_features, 'is_exact', lambda exact, number: False)
    monkeypatch.setattr(stored_features, '_LISTS', 1)
    features = stored(tmp_path, 1000, groups=1)
    assert find(features, 5, 40, str(tmp_path)).recall >= 0.99


@pytest.mark.parametrize('number, width', [(1, 0), (2, 1), (4, 3)])
def test_few_images(tmp_path, number, width):
    found = find(stored(tmp_path, number), 10, default_num_clusters(number), str(tmp_path))
    assert found.neighbors.shape == found.distances.shape == (number, width) and len(found.clusters) == number


def test_distances_to_none():
    features = np.eye(3, dtype=np.float32)
    distances = cosine_distances(features, np.array([[1, -1], [1, 2], [-1, -1]]))
    np.testing.assert_array_equal(distances, np.array([[1, np.nan], [0, 1], [np.nan, np.nan]], np.float32))


def test_a_disk_without_room(tmp_path):
    with pytest.raises(MachineError, match=r'GB free, and .* are to be kept there meanwhile: make room'):
        new_file(str(tmp_path), 'features', (10**12, 1000))
    assert not any(tmp_path.iterdir())


def _memory(folder):
    def take(number):
        (folder / str(number)).mkdir()
        features = stored(folder / str(number), number, dim=256, groups=3)
        return peak_bytes_of(lambda: find(features, 5, 10, str(folder / str(number))))

    take(500)  # what is loaded when it is first used
    return take(5_000), take(20_000)


@pytest.mark.e2e
def test_memory_does_not_grow_with_the_features(tmp_path):
    # 4 times the images: 15 MB more of features, of which k-means takes a sample; beside it ids and distances.
    (few, many), = on_processes(1, _memory, tmp_path)
    if few is None:
        pytest.skip('this system does not tell the memory of a process')
    assert many - few < 15_000 * 256 * 4 / 2
