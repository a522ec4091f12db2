"""What a refresh costs, before it is run: bytes, floating-point operations, and this machine's speed.

N images, d dimensions of a feature, m clusters, k neighbours, P positives.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from .defaults import DEFAULT_MEMORY, NeighborSizes
from .exact_search import search_bytes
from .faiss_backend import feature_bytes, load_faiss, num_gpus, on_every_core, on_gpus
from .ivf import inverted_lists, inverted_lists_bytes, ivf_search_bytes
from .kmeans import nearest_centroids
from .positives import select_bytes

_VECTORS, _LISTS, _PROBES = 16384, 128, 16  # of a measured search
_FLOPS = 8e9  # of one, a twentieth of a second on two cores
_FEWEST_QUERIES, _MOST_QUERIES = 512, 4096  # with fewer, faiss is slower


def refresh_bytes(num_images: int, dim: int, sizes: NeighborSizes, num_positives: int, strategy: str, exact: bool,
                  memory: int, on_gpu: bool, all_readable: bool = True) -> int:
    """What ``refresh`` holds at most in the host's memory, features among it. k-means takes less than the search.

    Args:
        exact: Whether each image is compared with all.
        memory: Bytes for a block of the inverted-list search.
        on_gpu: Whether faiss has GPUs.
        all_readable: Otherwise the features of those that are readable are copied.
    """
    m, k = sizes
    features = feature_bytes(num_images, dim) * (1 if all_readable else 2)
    if exact:
        found = num_images * (8 + k * 4)  # assignments and neighbours
        searching = num_images * 8 + search_bytes(num_images, dim, k, on_gpu)
    else:
        found = num_images * (4 + k * 4)
        searching = ivf_search_bytes(num_images, dim, k, m, on_gpu, memory)
    return features + max(searching, found + select_bytes(num_images, k, num_positives, strategy))


def index_bytes(num_images: int, dim: int, num_clusters: int, exact: bool, on_gpu: bool) -> int:
    """The copy of the features that is searched."""
    return feature_bytes(num_images, dim) if exact else inverted_lists_bytes(num_images, dim, num_clusters, on_gpu)


def search_flops(num_images: int, dim: int, num_clusters: int, exact: bool, nprobe: int) -> float:
    """Operations of the search of all images among all, or among those of ``nprobe`` near centres."""
    images_seen = num_images if exact else min(nprobe, num_clusters) * num_images / num_clusters
    return 2.0 * num_images * images_seen * dim


@dataclass(frozen=True)
class SearchSpeed:
    """Floating-point operations a second, of finding the nearest centre and of finding neighbours."""

    cluster: float
    search: float
    on_gpu: bool


@on_every_core
def measure_search(dim: int, num_neighbors: int, exact: bool) -> SearchSpeed:
    """Time small searches among random vectors, of the kind that a refresh makes.

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
        centroids = vectors[:_LISTS]  # how good they are does not matter for the speed
        lists = inverted_lists(vectors, centroids, nearest_centroids(vectors, centroids, 1)[:, 0], DEFAULT_MEMORY)
        search = _speed(lambda queries: lists.find(lists.by_list[queries], num_neighbors + 1, _PROBES), dim,
                        seen=_VECTORS * _PROBES // _LISTS)
    return SearchSpeed(cluster, search, num_gpus() > 0)


def _speed(search: Callable[[slice], object], dim: int, seen: int) -> float:
    """Operations a second of a search by some queries, each of which sees ``seen`` vectors."""
    flops_of_query = 2.0 * seen * dim
    queries = min(max(_FEWEST_QUERIES, int(_FLOPS / flops_of_query)), _MOST_QUERIES)
    search(slice(64))  # starts threads
    times = []
    for _ in range(3):
        start = time.perf_counter()
        search(slice(queries))
        times.append(time.perf_counter() - start)
    return flops_of_query * queries / median(times)
