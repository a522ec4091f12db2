"""Bytes and floating-point operations of a refresh, before it is run.

N images, d dimensions of a feature, m clusters, k neighbours, P positives.
"""

from .defaults import NeighborSizes
from .exact_search import search_bytes
from .faiss_backend import feature_bytes
from .ivf import inverted_lists_bytes, ivf_search_bytes
from .positives import select_bytes


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
