"""Neighbours among the features of the nearest clusters: the k-means centres are the lists of an IVF index [ours]."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from clim_mm.progress import progress_bar

from .blocks import blocks
from .faiss_backend import load_faiss, on_every_core, on_gpus
from .nearest_centroids import nearest_centroids
from .recall import Sample, draw_sample, recall_of
from .search import search, without_self

_BYTES_OF_A_HIT = 12 + 4  # faiss's distance and id, and ours


@dataclass(frozen=True)
class ListSearch:
    """What a search by lists has found.

    Attributes:
        neighbors: (N, k) int32, nearest first, without the feature itself; -1 = none.
        assignments: (N,) int32, the nearest centre of each feature.
        nprobe: Lists that were visited for each feature; 0 if all features were compared.
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
                 nprobe: int = 8,
                 least_recall: float = 0.99,
                 num_queries: int = 1000,
                 seed: int = 0,
                 memory: int = 2**28,
                 progress: bool = False) -> ListSearch:
    """Find the ``k`` nearest other features among those of the ``nprobe`` nearest centres.

    The recall is measured against the exact search on ``num_queries`` features, drawn at random. While it is below
    ``least_recall``, twice as many lists are visited. Where that would be an eighth of all features or more, the exact
    search takes over.

    Args:
        features: (N, d) float32, C-contiguous and finite.
        k: Neighbours of each.
        centroids: (m, d) float32, of ``train_centroids``.
        nprobe: Lists to begin with [ours: recall@41 of 0.9999 with 8 on 1.28 million synthetic vectors].
        least_recall: From 0 to 1 [ours].
        num_queries: Of the sample.
        seed: Of the sample.
        memory: Bytes for what a block of queries takes, beside the features, a copy of them by list, and the results.
        progress: Show progress bars.

    Raises:
        ConfigError: If the memory does not hold a small block.
        MissingDependencyError: If faiss is missing.
    """
    num_clusters = len(centroids)
    most = max(1, num_clusters // 8)
    nprobe = min(nprobe, num_clusters)
    sample = draw_sample(features, k, num_queries, seed)
    nearest = nearest_centroids(features, centroids, nprobe, memory, progress)
    assignments = np.ascontiguousarray(nearest[:, 0])
    index = _lists(features, centroids, assignments)
    recall = _recall(index, features, k, nearest[sample.ids], sample)
    while recall < least_recall and 2 * nprobe <= most:
        nprobe *= 2
        of_sample = nearest_centroids(features[sample.ids], centroids, nprobe, memory)
        recall = _recall(index, features, k, of_sample, sample)
    if recall < least_recall:
        del index
        return ListSearch(search(features, k, progress=progress), assignments, 0, 1.0)
    if nprobe > nearest.shape[1]:
        nearest = nearest_centroids(features, centroids, nprobe, memory, progress)

    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='query', show=progress) as bar:
        for block in blocks(len(features), _BYTES_OF_A_HIT * (k + 1) + 8 * nprobe, memory):
            found = _search(index, features[block], k + 1, nearest[block])
            neighbors[block] = without_self(found, np.arange(block.start, block.stop))
            bar.update(len(found))
    return ListSearch(neighbors, assignments, nprobe, recall)


def _lists(features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray) -> Any:
    """An IVF index of all features. The lists are known: none of them is searched for once more."""
    faiss = load_faiss()
    quantizer = faiss.IndexFlatL2(features.shape[1])
    quantizer.add(centroids)
    index = faiss.IndexIVFFlat(quantizer, features.shape[1], len(centroids), faiss.METRIC_L2)
    lists = assignments.astype(np.int64)
    index.add_core(len(features), faiss.swig_ptr(features), None, faiss.swig_ptr(lists))
    return on_gpus(index)


def _search(index: Any, queries: np.ndarray, k: int, lists: np.ndarray) -> np.ndarray:
    """(B, k) int64 ids."""
    if load_faiss().get_num_gpus() > 0:  # the GPUs' index looks for the lists by itself, in no time
        load_faiss().GpuParameterSpace().set_index_parameter(index, 'nprobe', lists.shape[1])
        return index.search(queries, k)[1]
    index.nprobe = lists.shape[1]
    return index.search_preassigned(queries, k, lists, None)[1]


def _recall(index: Any, features: np.ndarray, k: int, lists: np.ndarray, sample: Sample) -> float:
    found = without_self(_search(index, features[sample.ids], k + 1, lists), sample.ids)
    return recall_of(found, features, sample)
