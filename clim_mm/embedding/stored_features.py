"""Features of images in a file, and their clusters and neighbours: in memory that does not grow with their number.

The files are mapped into memory: what of them lies there is the system's, which gives it up where others need room.
"""

import os.path as osp
import shutil
from typing import NamedTuple

import numpy as np

from clim_mm.errors import MachineError
from clim_mm.neighbors import cluster
from clim_mm.neighbors.defaults import is_exact
from clim_mm.neighbors.exact_search import recall_of, search_sample, without_self
from clim_mm.neighbors.faiss_backend import blocks_of, feature_bytes, load_faiss, on_every_core
from clim_mm.neighbors.ivf import search_lists_on_cpu
from clim_mm.neighbors.kmeans import MAX_POINTS_PER_CENTROID, nearest_centroids
from clim_mm.progress import progress_bar

_SAMPLE_BYTES = 2**28  # of the features that k-means is given
_QUERIES_AT_ONCE = 4096
_LISTS, _LEAST_RECALL, _QUERIES = 16, 0.99, 1000  # to begin with; and of how many images the recall is measured


class Found(NamedTuple):
    """Clusters and neighbours of N features.

    Attributes:
        clusters: (N,) int32.
        neighbors: (N, k) int32, nearest first, without the image itself; -1 = none.
        distances: (N, k) float32, 1 - cosine; NaN = none.
        recall: Share of the true neighbours that were found; 1 where each was compared with all.
    """

    clusters: np.ndarray
    neighbors: np.ndarray
    distances: np.ndarray
    recall: float


def new_file(folder: str, name: str, shape: tuple[int, ...]) -> np.memmap:
    """A float32 array in a new ``.npy`` file of a folder, if the disk has room for it."""
    wanted, free = feature_bytes(shape[0], int(np.prod(shape[1:]))), shutil.disk_usage(folder).free
    if wanted > free:
        raise MachineError(f'{folder} has {free / 1e9:.1f} GB free, and {wanted / 1e9:.1f} GB of features are to be '
                           'kept there meanwhile: make room, or give another --out.')
    return np.lib.format.open_memmap(osp.join(folder, f'{name}.npy'), 'w+', np.float32, shape)


def default_num_clusters(num_images: int) -> int:
    """The square root of the number of images [ours]: 45 of 2,000, 1,132 of ImageNet."""
    return max(1, round(num_images**0.5))


def find(features: np.ndarray, k: int, num_clusters: int, folder: str, seed: int = 0) -> Found:
    """Cluster L2-normalised (N, d) float32 features, by k-means on a sample of them, and find ``k`` neighbours of each.

    Each is compared with all on sets up to the size of ``is_exact``, and with those of near clusters on larger ones.

    Args:
        folder: Where a second file of the features' size may lie meanwhile.
        seed: Of the sample and of the clustering.
    """
    most = min(len(features), num_clusters * MAX_POINTS_PER_CENTROID,
               max(num_clusters, _SAMPLE_BYTES // feature_bytes(1, features.shape[1])))
    ids = np.sort(np.random.default_rng(seed).choice(len(features), most, replace=False))
    centroids = cluster(features[ids], num_clusters, seed=seed)[0]
    clusters = nearest_centroids(features, centroids, progress=True)
    k = min(k, len(features) - 1)
    if k == 0:
        return Found(clusters, np.empty((1, 0), np.int32), np.empty((1, 0), np.float32), 1.0)
    if is_exact(None, len(features)):
        neighbors, recall = compared_with_all(features, k), 1.0
    else:
        neighbors, recall = _by_lists(features, k, centroids, clusters, folder, seed)
    return Found(clusters, neighbors, cosine_distances(features, neighbors), recall)


@on_every_core
def compared_with_all(features: np.ndarray, k: int) -> np.ndarray:
    """(N, k) int32 nearest other features, block by block, from where they lie."""
    neighbors = np.empty((len(features), k), dtype=np.int32)
    with progress_bar(total=len(features), desc='search', unit='image') as bar:
        for start in range(0, len(features), _QUERIES_AT_ONCE):
            block = slice(start, start + _QUERIES_AT_ONCE)
            _, found = load_faiss().knn(features[block], features, k + 1)
            neighbors[block] = without_self(found, np.arange(start, start + len(found)))
            bar.update(len(found))
    return neighbors


@on_every_core
def _by_lists(features: np.ndarray, k: int, centroids: np.ndarray, clusters: np.ndarray, folder: str,
              seed: int) -> tuple[np.ndarray, float]:
    vectors = new_file(folder, 'by_list', features.shape)
    sample, exact = search_sample(features, k, _QUERIES, seed)
    lists = min(_LISTS, len(centroids))
    while True:
        neighbors = search_lists_on_cpu(features, k, centroids, clusters, lists, progress=True, vectors=vectors)
        recall = recall_of(neighbors[sample], features, sample, exact)
        if recall >= _LEAST_RECALL or lists == len(centroids):
            return neighbors, recall
        lists = min(2 * lists, len(centroids))


def cosine_distances(features: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """(N, k) float32: 1 - cosine of each of the L2-normalised features and its neighbours; NaN where there is none."""
    distances = np.empty(neighbors.shape, dtype=np.float32)
    for block in blocks_of(features):
        own, near = features[block], neighbors[block]
        for column in range(near.shape[1]):
            distances[block, column] = 1 - np.einsum('nd,nd->n', own, features[near[:, column]])
    distances[neighbors < 0] = np.nan
    return distances
