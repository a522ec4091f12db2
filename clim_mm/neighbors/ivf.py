"""Inverted-list (IVF) search: neighbours among the features of near k-means clusters [ours]."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Union

import numpy as np

from clim_mm.progress import progress_bar

from .defaults import DEFAULT_MEMORY
from .exact_search import Sample, draw_sample, recall_bytes, recall_of, search, without_self
from .faiss_backend import blocks, feature_bytes, load_faiss, num_gpus, on_every_core, on_gpus
from .kmeans import nearest_centroids
from .symmetric_search import SymmetricSearch, dtypes_by_speed, symmetric_search_bytes, symmetric_search_is_faster

_BYTES_OF_A_HIT = 12 + 8 + 4  # faiss's distance and id, and ours
_NUM_QUERIES = 1000  # whose recall is measured [ours]
_MOST_LISTS = 2048  # that faiss's GPUs visit
_LEAST_RECALL_OF_ALL_PAIRS = 0.999  # where the symmetric search stands for the exact one


class IVFResult(NamedTuple):
    """What an inverted-list search has found.

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
def ivf_search(features: np.ndarray,
               k: int,
               centroids: np.ndarray,
               nprobe: int = 16,
               least_recall: float = 0.99,
               seed: int = 0,
               memory: int = DEFAULT_MEMORY,
               progress: bool = False) -> IVFResult:
    """Find the ``k`` nearest other features among those of ``nprobe`` near centres.

    The recall is measured against the exact search on 1,000 features, drawn at random. While it is below
    ``least_recall``, twice as many lists are taken. Where that would be more than an eighth of all lists, each feature
    is compared with all: on the CPU by :class:`~clim_mm.neighbors.symmetric_search.SymmetricSearch`, if it finds at
    least 0.999 of the neighbours of the sample, and otherwise by faiss's exact search.

    Args:
        features: (N, d) float32, C-contiguous and finite.
        k: Neighbours of each.
        centroids: (m, d) float32, of ``train_centroids``.
        nprobe: Lists to begin with [ours].
        least_recall: From 0 to 1 [ours].
        memory: Bytes for what a block takes, beside the features, a copy of them by list, and the results.
    """
    num_features, dim = features.shape
    query_blocks = blocks_of_queries(num_features, dim, k, memory)
    most = min(max(1, len(centroids) // 8), _MOST_LISTS)
    nprobe = min(nprobe, len(centroids))
    sample = draw_sample(features, k, _NUM_QUERIES, seed)
    assignments = nearest_centroids(features, centroids, 1, memory, progress)[:, 0]
    lists = inverted_lists(features, centroids, assignments, memory)

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
        neighbors, recall = _compare_all(features, k, max(least_recall, _LEAST_RECALL_OF_ALL_PAIRS), sample, memory,
                                         progress)
        return IVFResult(neighbors, assignments, 0, recall)

    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='image', show=progress) as bar:
        for block in query_blocks:
            ids = lists.by_list[block]
            neighbors[ids] = found_of(ids)
            bar.update(len(ids))
    return IVFResult(neighbors, assignments, nprobe, recall)


def ivf_search_bytes(num_features: int, dim: int, k: int, num_clusters: int, on_gpu: bool = False,
                     memory: int = DEFAULT_MEMORY) -> int:
    """What ``ivf_search`` holds at most in the host's memory, beside the features."""
    results = num_features * (k + 1) * 4  # neighbours and assignments
    working = max(memory, recall_bytes(min(_NUM_QUERIES, num_features), dim))  # a block, or before the first the sample
    copies = inverted_lists_bytes(num_features, dim, num_clusters, on_gpu)
    if not on_gpu and symmetric_search_is_faster(num_features, k, memory):
        copies = max(copies, symmetric_search_bytes(num_features, dim, k))  # where lists do not help
    return copies + results + working


def blocks_of_queries(num_features: int, dim: int, k: int, memory: int) -> Iterator[slice]:
    """Blocks of queries within half of ``memory``; the other half is for what they are compared with.

    A budget that is too small for ``ivf_search`` is refused at once.
    """
    return blocks(num_features, 2 * (_BYTES_OF_A_HIT * (k + 1) + 4 * dim), memory)


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


def _compare_all(features: np.ndarray, k: int, least_recall: float, sample: Sample, memory: int,
                 progress: bool) -> tuple[np.ndarray, float]:
    """Neighbours among all features, and their recall on the sample, which is known before the search is paid for."""
    if symmetric_search_is_faster(len(features), k, memory):
        for dtype in dtypes_by_speed(features.shape[1]):
            searcher = SymmetricSearch(features, k, dtype)
            recall = recall_of(searcher.find(sample.ids), features, sample)
            if recall >= least_recall:
                return searcher.find_all(memory, progress), recall
            del searcher
    return search(features, k, progress=progress), 1.0


class InvertedLists:
    """On the CPU: the features of a list are compared together with those of the centres nearest to its own.

    One product of matrices for a list, whose vectors stay in the cache, where an inverted index of faiss would visit
    the lists anew for each query [ours; 3 times as fast on ImageNet's size].
    Half of ``memory``, in bytes, is for a copy of the features that a list is compared with at once.
    """

    def __init__(self, features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray, memory: int) -> None:
        self.by_list = np.argsort(assignments, kind='stable').astype(np.int32)  # ids
        self._features = features
        self._centroids = centroids
        self._assignments = assignments
        self._memory = memory
        self._sorted = features[self.by_list]
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(assignments, minlength=len(centroids)))])

    def find(self, ids: np.ndarray, k: int, nprobe: int) -> np.ndarray:
        """(n, k) int64 ids nearest to some features, themselves among them, in ``nprobe`` lists; -1 = no further.

        The lists are those of the centres nearest to the centre of its own list. Fastest in the order of ``by_list``.
        """
        wanted, place = np.unique(self._assignments[ids], return_inverse=True)
        _, near = load_faiss().knn(self._centroids[wanted], self._centroids, nprobe)
        order = np.argsort(place, kind='stable')
        found = np.empty((len(ids), k), dtype=np.int64)
        for probes, queries in zip(near, np.split(order, np.cumsum(np.bincount(place))[:-1]), strict=True):
            candidates = np.concatenate([np.arange(self._starts[j], self._starts[j + 1]) for j in probes])
            found[queries] = self._among(candidates, self._features[ids[queries]], k)
        return found

    def _among(self, candidates: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
        """Of the candidates, places in the order by list: (n, k) ids."""
        distances, found = [], []
        for block in blocks(len(candidates), 2 * 4 * queries.shape[1], self._memory):
            places = candidates[block]
            near, which = load_faiss().knn(queries, self._sorted[places], k)
            distances.append(near)
            found.append(np.where(which >= 0, self.by_list[places[which]], -1))
        if len(found) == 1:
            return found[0]
        order = np.argsort(np.concatenate(distances, axis=1), axis=1, kind='stable')[:, :k]
        return np.take_along_axis(np.concatenate(found, axis=1), order, axis=1)


class GPUInvertedLists:
    """faiss's IVF index on all its GPUs. As :class:`InvertedLists`, but the lists are those nearest to each feature."""

    def __init__(self, features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray) -> None:
        faiss = load_faiss()
        self.by_list = np.arange(len(features), dtype=np.int32)  # the order does not matter here
        self._features = features
        quantizer = faiss.IndexFlatL2(features.shape[1])
        quantizer.add(centroids)
        index = faiss.IndexIVFFlat(quantizer, features.shape[1], len(centroids), faiss.METRIC_L2)
        lists = assignments.astype(np.int64)  # they are known: none of them is searched for once more
        index.add_core(len(features), faiss.swig_ptr(features), None, faiss.swig_ptr(lists))
        self._index: Any = on_gpus(index)

    def find(self, ids: np.ndarray, k: int, nprobe: int) -> np.ndarray:
        """(n, k) int64 ids."""
        load_faiss().GpuParameterSpace().set_index_parameter(self._index, 'nprobe', nprobe)
        return self._index.search(self._features[ids], k)[1]


def inverted_lists(features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray,
                   memory: int) -> Union[InvertedLists, GPUInvertedLists]:
    """On faiss's GPUs where it has some, otherwise on the CPU."""
    if num_gpus():
        return GPUInvertedLists(features, centroids, assignments)
    return InvertedLists(features, centroids, assignments, memory)


def inverted_lists_bytes(num_features: int, dim: int, num_clusters: int, on_gpu: bool = False) -> int:
    """Host bytes of features by list: a copy of them, their ids, and the centres. Those for GPUs are made there too."""
    id_bytes = 8 if on_gpu else 4
    return feature_bytes(num_features, dim) + num_features * id_bytes + feature_bytes(num_clusters, dim)
