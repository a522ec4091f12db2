"""How fast this machine searches, from a small block of random vectors."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from clim_mm.neighbors.defaults import DEFAULT_MEMORY
from clim_mm.neighbors.faiss_backend import load_faiss, num_gpus, on_every_core, on_gpus
from clim_mm.neighbors.ivf import inverted_lists
from clim_mm.neighbors.kmeans import nearest_centroids

_VECTORS, _LISTS, _PROBES = 16384, 128, 16
_FLOPS = 8e9  # of one measured search, a twentieth of a second on two cores
_SEARCHES = 3
_FEWEST_QUERIES, _MOST_QUERIES = 512, 4096  # with fewer, faiss is slower


@dataclass(frozen=True)
class SearchSpeed:
    """Floating-point operations a second.

    Attributes:
        cluster: Of finding the nearest centre.
        search: Of finding neighbours, among all images or in the lists of near centres.
        on_gpu: Whether faiss has GPUs.
    """

    cluster: float
    search: float
    on_gpu: bool


@on_every_core
def measure_search(dim: int, num_neighbors: int, exact: bool) -> SearchSpeed:
    """Search small indexes as a refresh will search large ones.

    Args:
        dim: d.
        num_neighbors: k.
        exact: Whether the search is among all images.

    Raises:
        MissingDependencyError: If faiss is missing.
    """
    vectors = np.random.default_rng(0).standard_normal((_VECTORS, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = on_gpus(load_faiss().IndexFlatL2(dim))
    flat.add(vectors)
    cluster = _speed(lambda queries: flat.search(vectors[queries], 1), dim, seen=_VECTORS)
    if exact:
        search = _speed(lambda queries: flat.search(vectors[queries], num_neighbors + 1), dim, seen=_VECTORS)
    else:
        # The centres are some of the vectors: how good they are does not matter for the speed.
        centroids = vectors[:_LISTS]
        lists = inverted_lists(vectors, centroids, nearest_centroids(vectors, centroids, 1)[:, 0], DEFAULT_MEMORY)
        search = _speed(lambda queries: lists.find(lists.by_list[queries], num_neighbors + 1, _PROBES), dim,
                        seen=_VECTORS * _PROBES // _LISTS)
    return SearchSpeed(cluster, search, num_gpus() > 0)


def _speed(search: Callable[[slice], object], dim: int, seen: int) -> float:
    """Operations a second of a search by so many queries, each of which sees ``seen`` vectors."""
    flops_of_query = 2.0 * seen * dim
    queries = min(max(_FEWEST_QUERIES, int(_FLOPS / flops_of_query)), _MOST_QUERIES)
    search(slice(64))  # starts threads
    times = []
    for _ in range(_SEARCHES):
        start = time.perf_counter()
        search(slice(queries))
        times.append(time.perf_counter() - start)
    return flops_of_query * queries / median(times)
