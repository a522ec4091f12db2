"""Exact nearest neighbours over the whole training set (paper section 3.2.1)."""

import numpy as np

from clim_mm.checks import check_whole
from clim_mm.progress import progress_bar

from .faiss_backend import as_float32_matrix, feature_bytes, load_faiss, on_every_core, on_gpus

_QUERIES_PER_BLOCK = 16384
_BYTES_OF_A_HIT = 12 + 8 + 2  # faiss's distance and id; the id without the feature itself, and which they are


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
    """Drop each query's own id from its k + 1 hits, or the last hit where duplicates have pushed it out.

    Args:
        found: (B, k + 1) ids.
        ids: (B,) of the queries.

    Returns:
        (B, k).
    """
    dropped = found == ids[:, None]
    dropped[:, -1] |= ~dropped.any(axis=1)
    return found[~dropped].reshape(len(found), -1)
