"""Exact nearest neighbours over the whole training set (paper section 3.2.1), and the recall of other searches."""

from typing import Any

import numpy as np

from clim_mm.checks import check_whole
from clim_mm.progress import progress_bar

from .faiss_backend import as_float32_matrix, load_faiss, on_every_core, on_gpus

_QUERIES_PER_BLOCK = 16384
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
    return search_index(index, features, k, progress)


def search_index(index: Any, features: np.ndarray, k: int, progress: bool) -> np.ndarray:
    """As :func:`search`, by a faiss index that holds these (N, d) float32 features."""
    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='image', show=progress) as bar:
        for start in range(0, len(features), _QUERIES_PER_BLOCK):
            block = slice(start, start + _QUERIES_PER_BLOCK)
            _, found = index.search(features[block], k + 1)
            neighbors[block] = without_self(found, np.arange(start, start + len(found)))
            bar.update(len(found))
    return neighbors


def without_self(found: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(B, k) of (B, k + 1) hits: without each query's own id, or the last hit where duplicates have pushed it out."""
    dropped = found == ids[:, None]
    dropped[:, -1] |= ~dropped.any(axis=1)
    return found[~dropped].reshape(len(found), -1)


@on_every_core
def search_sample(features: np.ndarray, k: int, num_queries: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Compare ``num_queries`` of the (N, d) float32 features, drawn at random, with all.

    Returns:
        Their (n,) int64 ids, ascending, and (n, k) int64 nearest others; fewer columns if N is smaller.
    """
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(len(features), min(num_queries, len(features)), replace=False))
    _, found = load_faiss().knn(features[ids], features, min(k + 1, len(features)))
    return ids, without_self(found, ids)


def recall_of(found: np.ndarray, features: np.ndarray, ids: np.ndarray, exact: np.ndarray) -> float:
    """The share, 0 to 1, of neighbours as near as those of the exact search; at the same distance they count alike.

    Args:
        found: (n, k) ids for the features ``ids``, distinct in a row and without the feature itself; -1 = none.
        ids, exact: Of :func:`search_sample`.
    """
    reach = _squared_distances(features, ids, exact).max(axis=1, keepdims=True)
    near = (found >= 0) & (_squared_distances(features, ids, found) <= reach * (1 + _ROUNDING))
    return float(near.sum() / exact.size)


def _squared_distances(features: np.ndarray, ids: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, k) float64."""
    own = features[ids].astype(np.float64)
    return np.stack([((features[column] - own)**2).sum(axis=1) for column in others.T], axis=1)
