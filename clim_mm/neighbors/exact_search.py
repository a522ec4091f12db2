"""Exact nearest neighbours over the whole training set (paper section 3.2.1), and the recall of other searches."""

from typing import NamedTuple

import numpy as np

from clim_mm.checks import check_whole
from clim_mm.progress import progress_bar

from .faiss_backend import as_float32_matrix, feature_bytes, load_faiss, on_every_core, on_gpus

_QUERIES_PER_BLOCK = 16384
_BYTES_OF_A_HIT = 12 + 8 + 2  # faiss's distance and id; the id without the feature itself, and which they are
_ROUNDING = 1e-6  # of the squared distances of two features at the same distance, relative


@on_every_core
def search(features: np.ndarray, k: int, progress: bool = False) -> np.ndarray:
    """Find the ``k`` nearest other features of each feature by L2 distance, nearest first: each compared with all.

    Args:
        features: (N, d) float array.
        k: Neighbours of each. The paper's is 40 (A.2).

    Returns:
        (N, k) int32 ids. The feature itself is left out by its id, so that exact duplicates of it stay in; -1 where
        there is no further neighbour.
    """
    features = as_float32_matrix(features)
    check_whole('k', k, least=1)
    k = int(k)  # faiss takes no numpy integers
    index = on_gpus(load_faiss().IndexFlatL2(features.shape[1]))
    index.add(features)
    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='query', show=progress) as bar:
        for start in range(0, len(features), _QUERIES_PER_BLOCK):
            block = slice(start, start + _QUERIES_PER_BLOCK)
            _, found = index.search(features[block], k + 1)
            neighbors[block] = without_self(found, np.arange(start, start + len(found)))
            bar.update(len(found))
    return neighbors


def search_bytes(num_features: int, dim: int, k: int, on_gpu: bool = False) -> int:
    """What ``search`` holds at most in the host's memory beside the features; GPUs hold faiss's copy themselves."""
    copy = 0 if on_gpu else feature_bytes(num_features, dim)
    return copy + num_features * k * 4 + min(num_features, _QUERIES_PER_BLOCK) * (k + 1) * _BYTES_OF_A_HIT


def without_self(found: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(B, k) of (B, k + 1) hits: without each query's own id, or the last hit where duplicates have pushed it out."""
    dropped = found == ids[:, None]
    dropped[:, -1] |= ~dropped.any(axis=1)
    return found[~dropped].reshape(len(found), -1)


class Sample(NamedTuple):
    """Features whose true neighbours are known.

    Attributes:
        ids: (n,) int64, ascending.
        reach: (n,) float64, squared distance to the farthest of the k others that faiss's exact search finds.
        found: (n, k + 1) int64, what it finds: these and the feature itself.
    """

    ids: np.ndarray
    reach: np.ndarray
    found: np.ndarray


@on_every_core
def draw_sample(features: np.ndarray, k: int, num_queries: int, seed: int) -> Sample:
    """Draw ``num_queries`` of the (N, d) float32 features, or all if there are fewer, and compare each with all."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(len(features), min(num_queries, len(features)), replace=False))
    _, found = load_faiss().knn(features[ids], features, min(k + 1, len(features)))
    distances = np.sort(_squared_distances(features, ids, found), axis=1)
    return Sample(ids, distances[:, -1], found)  # itself is one of the k + 1, at 0


def recall_of(found: np.ndarray, features: np.ndarray, sample: Sample) -> float:
    """The share, 0 to 1, of neighbours as near as the exact search's; those at the same distance count alike.

    ``found`` are (n, k) ids for the sample's features, -1 = none, distinct in a row and without the feature itself.
    """
    distances = _squared_distances(features, sample.ids, found)
    near = distances <= sample.reach[:, None] * (1 + _ROUNDING)
    wanted = min(found.shape[1], len(features) - 1)
    return float((near & (found >= 0)).sum() / (len(found) * wanted)) if wanted else 1.0


def recall_bytes(num_queries: int, dim: int) -> int:
    """What it takes to compare a sample with its neighbours: three float64 numbers for each of its own."""
    return num_queries * dim * 3 * 8


def _squared_distances(features: np.ndarray, ids: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, k) float64."""
    own = features[ids].astype(np.float64)
    return np.stack([((features[column] - own)**2).sum(axis=1) for column in others.T], axis=1)
