"""The share of the true neighbours that a search finds, measured on a sample."""

from typing import NamedTuple

import numpy as np

from .faiss_backend import load_faiss, on_every_core

_ROUNDING = 1e-6  # of the squared distances of two features at the same distance, relative


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

    Args:
        found: (n, k) int, neighbours of the sample, -1 = none, distinct in a row and without the feature itself.
        features: (N, d) float32.
        sample: Of the same features and the same k.
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
