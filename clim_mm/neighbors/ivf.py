"""Inverted-list (IVF) search: neighbours among the features of near k-means clusters [ours]."""

from typing import Any, NamedTuple, Optional

import numpy as np

from clim_mm.progress import progress_bar

from .exact_search import recall_of, search, search_index, search_sample, without_self
from .faiss_backend import blocks_of, load_faiss, num_gpus, on_every_core, on_gpus
from .kmeans import nearest_centroids
from .symmetric_search import SymmetricSearch, dtypes_by_speed

_SAMPLE = 1000  # whose recall is measured [ours]
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
               progress: bool = False) -> IVFResult:
    """Find the ``k`` nearest other features among those of ``nprobe`` near centres.

    The recall is measured on 1,000 features, drawn at random, whose true neighbours the exact search finds: it is the
    share of them in the lists. While it is below ``least_recall``, twice as many lists are taken. Where that would be
    more than an eighth of all lists, each feature is compared with all: on the CPU by
    :class:`~clim_mm.neighbors.symmetric_search.SymmetricSearch`, if it finds at least 0.999 of the neighbours of the
    sample, and otherwise by faiss's exact search.

    Args:
        features: (N, d) float32, C-contiguous and finite.
        k: Neighbours of each.
        centroids: (m, d) float32, of ``train_centroids``.
        nprobe: Lists to begin with [ours].
        least_recall: From 0 to 1 [ours].
    """
    widths = [min(nprobe, len(centroids))]
    while 2 * widths[-1] <= min(len(centroids) // 8, _MOST_LISTS):
        widths.append(2 * widths[-1])
    assignments = nearest_centroids(features, centroids, progress)
    sample, exact = search_sample(features, k, _SAMPLE, seed)
    # The CPU visits the lists nearest to a feature's own, GPUs those nearest to the feature.
    visited_from = features[sample] if num_gpus() else centroids[assignments[sample]]
    ranks = list_ranks(visited_from, centroids, widths[-1], assignments[exact])
    for nprobe in widths:
        if (ranks < nprobe).mean() < least_recall:
            continue
        search_lists = search_lists_on_gpus if num_gpus() else search_lists_on_cpu
        neighbors = search_lists(features, k, centroids, assignments, nprobe, progress)
        recall = recall_of(neighbors[sample], features, sample, exact)
        if recall >= least_recall:
            return IVFResult(neighbors, assignments, nprobe, recall)
    for dtype in [] if num_gpus() else dtypes_by_speed(features.shape[1]):
        neighbors = SymmetricSearch(features, k, dtype).neighbors(progress)
        recall = recall_of(neighbors[sample], features, sample, exact)
        if recall >= max(least_recall, _LEAST_RECALL_OF_ALL_PAIRS):
            return IVFResult(neighbors, assignments, 0, recall)
    return IVFResult(search(features, k, progress), assignments, 0, 1.0)


def list_ranks(queries: np.ndarray, centroids: np.ndarray, most: int, lists: np.ndarray) -> np.ndarray:
    """(n, k) ranks of some lists, (n, k) int, by the distance of their centre to the query, 0 = nearest.

    Those from ``most`` on are ``most``.
    """
    _, near = load_faiss().knn(np.ascontiguousarray(queries), centroids, most)
    ranks = np.full((len(queries), len(centroids)), most, dtype=np.int32)
    np.put_along_axis(ranks, near, np.arange(most, dtype=np.int32)[None], axis=1)
    return np.take_along_axis(ranks, lists, axis=1)


def search_lists_on_cpu(features: np.ndarray, k: int, centroids: np.ndarray, assignments: np.ndarray, nprobe: int,
                        progress: bool = False, vectors: Optional[np.ndarray] = None) -> np.ndarray:
    """(N, k) int32: each feature is compared with those in the lists of the ``nprobe`` centres nearest to its own.

    One product of matrices for a list, whose vectors stay in the cache, where an inverted index of faiss would visit
    the lists anew for each query [ours; 3 times as fast on ImageNet's size].

    Args:
        vectors: (N, d) float32, into which the features are copied list by list, such as a file in memory. None makes
            an array.
    """
    by_list = np.argsort(assignments, kind='stable').astype(np.int32)  # ids
    if vectors is None:
        vectors = features[by_list]
    else:
        for block in blocks_of(features):
            vectors[block] = features[by_list[block]]
    ends = np.cumsum(np.bincount(assignments, minlength=len(centroids)))
    places = [np.arange(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    _, near = load_faiss().knn(centroids, centroids, nprobe)
    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='image', show=progress) as bar:
        for own, lists in zip(places, near, strict=True):
            if len(own):
                candidates = np.concatenate([places[i] for i in lists])
                _, which = load_faiss().knn(vectors[own], vectors[candidates], k + 1)
                found = np.append(by_list[candidates], -1)[which]
                neighbors[by_list[own]] = without_self(found, by_list[own])
                bar.update(len(own))
    return neighbors


def search_lists_on_gpus(features: np.ndarray, k: int, centroids: np.ndarray, assignments: np.ndarray, nprobe: int,
                         progress: bool = False) -> np.ndarray:
    """As on the CPU, by faiss's IVF index on all its GPUs: the lists are those nearest to each feature."""
    faiss = load_faiss()
    quantizer = faiss.IndexFlatL2(features.shape[1])
    quantizer.add(centroids)
    index: Any = faiss.IndexIVFFlat(quantizer, features.shape[1], len(centroids), faiss.METRIC_L2)
    lists = assignments.astype(np.int64)  # they are known: none of them is searched for once more
    index.add_core(len(features), faiss.swig_ptr(features), None, faiss.swig_ptr(lists))
    index = on_gpus(index)
    faiss.GpuParameterSpace().set_index_parameter(index, 'nprobe', nprobe)
    return search_index(index, features, k, progress)
