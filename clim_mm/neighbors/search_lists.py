"""Neighbours among the features of near clusters: the k-means centres serve as lists of the search [ours]."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clim_mm.progress import progress_bar

from .blocks import blocks
from .faiss_backend import load_faiss, num_gpus, on_every_core
from .lists import lists_bytes, make_lists
from .nearest_centroids import nearest_centroids
from .pairs import Pairs, pairs_are_faster, pairs_bytes
from .recall import Sample, draw_sample, recall_bytes, recall_of
from .rounded import dtypes_by_speed
from .search import search, without_self
from .sizes import DEFAULT_MEMORY

_BYTES_OF_A_HIT = 12 + 8 + 4  # faiss's distance and id, and ours
_NUM_QUERIES = 1000  # whose recall is measured [ours]
_MOST_LISTS = 2048  # that faiss's GPUs visit
_LEAST_RECALL_OF_PAIRS = 0.999  # where they stand for the exact search


@dataclass(frozen=True)
class ListSearch:
    """What a search by lists has found.

    Attributes:
        neighbors: (N, k) int32, nearest first, without the feature itself; -1 = none.
        assignments: (N,) int32, the nearest centre of each feature.
        nprobe: Lists that each feature was compared with; 0 if with all features.
        recall: Share of the true neighbours that were found, on a sample; 1 by faiss's exact search.
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
    ``least_recall``, twice as many lists are taken. Where that would be more than an eighth of all lists, each feature
    is compared with all: on the CPU in pairs (:class:`~clim_mm.neighbors.pairs.Pairs`), if these find at least 0.999
    of the neighbours of the sample, and otherwise by faiss's exact search.

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

    widest = nprobe
    while 2 * widest <= most:
        widest *= 2
    # Not even tried where the lists do not hold enough of the true neighbours: to find that out, lists take long.
    recall = share_in_lists(sample, assignments, centroids, widest)
    if recall >= least_recall or num_gpus():
        recall = recall_of(found_of(sample.ids), features, sample)
    else:
        nprobe = widest
    while recall < least_recall and 2 * nprobe <= most:
        nprobe *= 2
        recall = recall_of(found_of(sample.ids), features, sample)
    if recall < least_recall:
        del lists
        neighbors, recall = _compare_all(features, k, max(least_recall, _LEAST_RECALL_OF_PAIRS), sample, memory,
                                         progress)
        return ListSearch(neighbors, assignments, 0, recall)

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
    copies = lists_bytes(num_features, dim, num_clusters, on_gpu)
    if not on_gpu and pairs_are_faster(num_features, k, memory):
        copies = max(copies, pairs_bytes(num_features, dim, k))  # where lists do not help
    return copies + results + working


def _compare_all(features: np.ndarray, k: int, least_recall: float, sample: Sample, memory: int,
                 progress: bool) -> tuple[np.ndarray, float]:
    """Neighbours among all features, and their recall on the sample, which is known before the search is paid for."""
    if pairs_are_faster(len(features), k, memory):
        for dtype in dtypes_by_speed(features.shape[1]):
            pairs = Pairs(features, k, dtype)
            recall = recall_of(pairs.find(sample.ids), features, sample)
            if recall >= least_recall:
                return pairs.find_all(memory, progress), recall
            del pairs
    return search(features, k, progress=progress), 1.0


def share_in_lists(sample: Sample, assignments: np.ndarray, centroids: np.ndarray, nprobe: int) -> float:
    """The share of the true neighbours that are in the ``nprobe`` lists nearest to a feature's own: their recall.

    On GPUs the lists are those nearest to the feature itself, of which this tells nothing.
    """
    own, place = np.unique(assignments[sample.ids], return_inverse=True)
    _, near = load_faiss().knn(np.ascontiguousarray(centroids[own]), centroids, nprobe)
    visited = np.zeros((len(own), len(centroids)), dtype=bool)
    np.put_along_axis(visited, near, True, axis=1)
    others = sample.found != sample.ids[:, None]
    return float(visited[place[:, None], assignments[sample.found]][others].mean()) if others.any() else 1.0


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
