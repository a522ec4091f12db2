"""Neighbours among the features of near clusters: the k-means centres serve as lists of the search [ours]."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clim_mm.progress import progress_bar

from .blocks import blocks
from .faiss_backend import on_every_core
from .lists import lists_bytes, make_lists
from .nearest_centroids import nearest_centroids
from .recall import draw_sample, recall_bytes, recall_of
from .search import search, without_self
from .sizes import DEFAULT_MEMORY

_BYTES_OF_A_HIT = 12 + 8 + 4  # faiss's distance and id, and ours
_NUM_QUERIES = 1000  # whose recall is measured [ours]
_MOST_LISTS = 2048  # that faiss's GPUs visit


@dataclass(frozen=True)
class ListSearch:
    """What a search by lists has found.

    Attributes:
        neighbors: (N, k) int32, nearest first, without the feature itself; -1 = none.
        assignments: (N,) int32, the nearest centre of each feature.
        nprobe: Lists that each feature was compared with; 0 if all features were compared.
        recall: Share of the true neighbours that were found, on a sample; 1 if all features were compared.
    """

    neighbors: np.ndarray
    assignments: np.ndarray
    nprobe: int
    recall: float


@on_every_core
def search_lists(features: np.ndarray,
                 k: int,
                 centroids: np.ndarray,
                 nprobe: int = 16,
                 least_recall: float = 0.99,
                 num_queries: int = _NUM_QUERIES,
                 seed: int = 0,
                 memory: int = DEFAULT_MEMORY,
                 progress: bool = False) -> ListSearch:
    """Find the ``k`` nearest other features among those of ``nprobe`` near centres.

    The recall is measured against the exact search on ``num_queries`` features, drawn at random. While it is below
    ``least_recall``, twice as many lists are taken. Where that would be more than an eighth of all lists, the exact
    search takes over.

    Args:
        features: (N, d) float32, C-contiguous and finite.
        k: Neighbours of each.
        centroids: (m, d) float32, of ``train_centroids``.
        nprobe: Lists to begin with [ours].
        least_recall: From 0 to 1 [ours].
        num_queries: Of the sample.
        seed: Of the sample.
        memory: Bytes for what a block takes, beside the features, a copy of them by list, and the results.
        progress: Show progress bars.

    Raises:
        ConfigError: If the memory does not hold a small block.
        MissingDependencyError: If faiss is missing.
    """
    num_features, dim = features.shape
    check_memory(num_features, dim, k, memory)
    most = min(max(1, len(centroids) // 8), _MOST_LISTS)
    nprobe = min(nprobe, len(centroids))
    sample = draw_sample(features, k, num_queries, seed)
    assignments = nearest_centroids(features, centroids, 1, memory, progress)[:, 0]
    lists = make_lists(features, centroids, assignments, memory)

    def found_of(ids: np.ndarray) -> np.ndarray:
        return without_self(lists.find(ids, k + 1, nprobe), ids)

    recall = recall_of(found_of(sample.ids), features, sample)
    while recall < least_recall and 2 * nprobe <= most:
        nprobe *= 2
        recall = recall_of(found_of(sample.ids), features, sample)
    if recall < least_recall:
        del lists
        return ListSearch(search(features, k, progress=progress), assignments, 0, 1.0)

    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='image', show=progress) as bar:
        for block in _blocks_of_queries(num_features, dim, k, memory):
            ids = lists.by_list[block]
            neighbors[ids] = found_of(ids)
            bar.update(len(ids))
    return ListSearch(neighbors, assignments, nprobe, recall)


def search_lists_bytes(num_features: int, dim: int, k: int, num_clusters: int, on_gpu: bool = False,
                       memory: int = DEFAULT_MEMORY, num_queries: int = _NUM_QUERIES) -> int:
    """What ``search_lists`` holds at most in the host's memory, beside the features.

    Args:
        num_features, dim, k, num_clusters: N, d, k, m.
        on_gpu: Whether faiss has GPUs.
        memory, num_queries: As for ``search_lists``.
    """
    results = num_features * (k + 1) * 4  # neighbours and assignments
    working = max(memory, recall_bytes(min(num_queries, num_features), dim))  # a block, or before the first the sample
    return lists_bytes(num_features, dim, num_clusters, on_gpu) + results + working


def check_memory(num_features: int, dim: int, k: int, memory: int) -> None:
    """Check that ``search_lists`` can work within a budget, without searching.

    Args:
        num_features, dim: N, d.
        k, memory: As for ``search_lists``.

    Raises:
        ConfigError: If it cannot.
    """
    _blocks_of_queries(num_features, dim, k, memory)


def _blocks_of_queries(num_features: int, dim: int, k: int, memory: int) -> Iterator[slice]:
    """With half of the memory; the other half is for what they are compared with."""
    return blocks(num_features, 2 * (_BYTES_OF_A_HIT * (k + 1) + 4 * dim), memory)
