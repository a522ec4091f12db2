"""Features by the list that they are in, one for each k-means centre, and a search among the lists of near centres."""

from typing import Any, Union

import numpy as np

from .blocks import blocks
from .faiss_backend import load_faiss, num_gpus, on_gpus
from .search import index_bytes


class Lists:
    """On the CPU: the features of a list are compared together with those of the centres nearest to its own.

    One product of matrices for a list, whose vectors stay in the cache, where an inverted index of faiss would visit
    the lists anew for each query [ours; 3 times as fast on ImageNet's size].

    Args:
        features: (N, d) float32, C-contiguous.
        centroids: (m, d) float32.
        assignments: (N,) int, the list of each feature.
        memory: Bytes, of which half are for a copy of the features that a list is compared with at once.
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
        """The nearest features of some, themselves among them.

        Args:
            ids: (n,) int; fastest in the order of ``by_list``.
            k: Neighbours of each.
            nprobe: Lists that each is compared with: those of the centres nearest to the centre of its own list.

        Returns:
            (n, k) int64 ids, nearest first; -1 where these lists hold no further feature.

        Raises:
            ConfigError: If the memory does not hold a small block.
        """
        lists = self._assignments[ids]
        wanted, place = np.unique(lists, return_inverse=True)
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


class ListsOnGPUs:
    """faiss's inverted index, on all its GPUs. As :class:`Lists`, but the lists are those nearest to each feature."""

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


def lists_bytes(num_features: int, dim: int, num_clusters: int, on_gpu: bool = False) -> int:
    """Of features by list: a copy of them, their ids, and the centres. Those for GPUs are made on the host.

    Args:
        num_features, dim, num_clusters: N, d, m.
        on_gpu: Whether faiss has GPUs.
    """
    id_bytes = 8 if on_gpu else 4
    return index_bytes(num_features, dim) + num_features * id_bytes + index_bytes(num_clusters, dim)


def make_lists(features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray,
               memory: int) -> Union[Lists, ListsOnGPUs]:
    """Where faiss has GPUs, on them."""
    if num_gpus():
        return ListsOnGPUs(features, centroids, assignments)
    return Lists(features, centroids, assignments, memory)
