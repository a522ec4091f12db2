"""What a refresh costs, before it is run: about how many bytes and floating-point operations, and this machine's speed.

N images, d dimensions of a feature, m clusters, k neighbours, P positives.
"""

import time
from dataclasses import dataclass
from statistics import median

import numpy as np

from .defaults import NeighborSizes
from .faiss_backend import ROWS_PER_BLOCK, feature_bytes, load_faiss, num_gpus, on_every_core, on_gpus
from .kmeans import ITERATIONS, MAX_POINTS_PER_CENTROID, POINTS_PER_CENTROID

_ITERATIONS_ON_SAMPLE, _ITERATIONS_ON_ALL = 5, 3  # of train_centroids on the families of tools/benchmarks/refresh.py
_VECTORS, _QUERIES = 16384, 2048  # of a measured search


def refresh_bytes(num_images: int, dim: int, sizes: NeighborSizes, num_positives: int,
                  all_readable: bool = True, whitened: bool = False) -> int:
    """About what ``refresh`` holds at most in the host's memory, where each image has to be compared with all.

    If not ``all_readable``, the features of those that are readable are copied; ``whitened`` ones are a further copy.
    """
    k = sizes.num_neighbors
    features = feature_bytes(num_images, dim) * (2 + (not all_readable) + whitened)  # with the copy that is searched
    found = num_images * (16 * (k + 16) + 4 * num_positives)  # candidates on the way, neighbours, positives
    return features + found + 48 * k * min(num_images, ROWS_PER_BLOCK)


def search_flops(num_images: int, dim: int, num_clusters: int, exact: bool, nprobe: int) -> float:
    """Operations of the search of all images among all, or among those of ``nprobe`` near centres."""
    images_seen = num_images if exact else min(nprobe, num_clusters) * num_images / num_clusters
    return 2.0 * num_images * images_seen * dim


def kmeans_flops(num_images: int, dim: int, num_clusters: int, exact: bool) -> float:
    """Operations of ``cluster`` if ``exact``, else of ``train_centroids`` and the assignment of all images."""
    points = MAX_POINTS_PER_CENTROID if exact else POINTS_PER_CENTROID
    sample = min(num_images, points * num_clusters)
    images_seen = (ITERATIONS * sample + num_images if exact
                   else _ITERATIONS_ON_SAMPLE * sample + (_ITERATIONS_ON_ALL + 1) * num_images)
    return 2.0 * images_seen * num_clusters * dim


@dataclass(frozen=True)
class SearchSpeed:
    """Floating-point operations a second, of finding the nearest centre and of finding neighbours."""

    cluster: float
    search: float
    on_gpu: bool


@on_every_core
def measure_search(dim: int, num_neighbors: int) -> SearchSpeed:
    """Time small exact searches among random vectors."""
    vectors = np.random.default_rng(0).standard_normal((_VECTORS, dim), dtype=np.float32)
    index = on_gpus(load_faiss().IndexFlatL2(dim))
    index.add(vectors)

    def speed(k: int) -> float:
        index.search(vectors[:64], k)  # starts threads
        times = []
        for _ in range(3):
            start = time.perf_counter()
            index.search(vectors[:_QUERIES], k)
            times.append(time.perf_counter() - start)
        return 2.0 * _VECTORS * _QUERIES * dim / median(times)

    return SearchSpeed(speed(1), speed(num_neighbors + 1), num_gpus() > 0)
