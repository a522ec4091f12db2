"""k-means on the features of the whole training set (paper section 3.2.1)."""

from typing import Any, Optional

import numpy as np

from clim_mm.checks import check_whole
from clim_mm.progress import progress_bar

from .faiss_backend import ROWS_PER_BLOCK, as_float32_matrix, load_faiss, num_gpus, on_every_core, on_gpus

ITERATIONS = 20  # of Lloyd's algorithm, at most [ours: faiss's usual 20 to 25; the paper gives none]
MAX_POINTS_PER_CENTROID = 256  # drawn at random from more; takes all of ImageNet at m = 10,000
POINTS_PER_CENTROID = 64  # of a sample; with 32, centres are caught by outliers where groups are unequal
_NUM_CLUSTERS = 'num_clusters, up to the number of features,'

# An iteration that improves the objective by less than this share is the last [ours]. Found on the three families of
# tools/benchmarks/refresh.py: the objective is within 1 % of that of `cluster`. Further iterations on the sample fit
# the sample alone; on all features each gains about two thirds of what the one before gained.
ON_SAMPLE, ON_ALL = 0.005, 0.002


@on_every_core
def cluster(features: np.ndarray,
            num_clusters: int,
            seed: int = 0,
            progress: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Find ``num_clusters`` centres by faiss's k-means, and each feature's nearest centre by L2 distance.

    Args:
        features: (N, d) float array.
        num_clusters: ``m``, from 1 to N. The paper's is 10,000 on ImageNet (A.2).
        progress: Print faiss's line for each iteration.

    Returns:
        Centres, (m, d) float32, and assignments, (N,) int64.
    """
    features = as_float32_matrix(features)
    check_whole(_NUM_CLUSTERS, num_clusters, 1, len(features))
    kmeans = _kmeans(features, num_clusters, ITERATIONS, MAX_POINTS_PER_CENTROID, seed, None, progress)
    _, assignments = kmeans.assign(features)
    return kmeans.centroids, assignments.astype(np.int64)


@on_every_core
def train_centroids(features: np.ndarray,
                    num_clusters: int,
                    seed: int = 0,
                    start: Optional[np.ndarray] = None,
                    progress: bool = False) -> np.ndarray:
    """Centres by k-means on a sample first, then on all features: what ``cluster`` finds, in a fraction of its time.

    A centre of few points lies near them rather than in the cluster's middle; the iterations on all features put that
    right [ours].

    Args:
        features, num_clusters, progress: As for ``cluster``.
        start: (m, d) float32 centres to begin with on all features, such as the last refresh's. None begins with m
            features of the sample, if there are more than ``POINTS_PER_CENTROID`` a centre.

    Returns:
        (m, d) float32.
    """
    features = as_float32_matrix(features)
    check_whole(_NUM_CLUSTERS, num_clusters, 1, len(features))
    centroids = None if start is None else as_float32_matrix(start, 'start')
    if centroids is not None and centroids.shape != (num_clusters, features.shape[1]):
        raise ValueError(f'start has the shape {centroids.shape}, not {(num_clusters, features.shape[1])}.')
    size = num_clusters * POINTS_PER_CENTROID
    if centroids is None and size < len(features):
        ids = np.random.default_rng(seed).choice(len(features), size, replace=False)
        centroids = _improve(features[np.sort(ids)], num_clusters, None, ON_SAMPLE, seed, progress)
    return _improve(features, num_clusters, centroids, ON_ALL, seed, progress)


@on_every_core
def nearest_centroids(features: np.ndarray, centroids: np.ndarray, progress: bool = False) -> np.ndarray:
    """The nearest centre of each feature, (N,) int32."""
    index = on_gpus(load_faiss().IndexFlatL2(centroids.shape[1]))
    index.add(np.ascontiguousarray(centroids, dtype=np.float32))
    nearest = np.empty(len(features), dtype=np.int32)
    with progress_bar(total=len(features), desc='assign', unit='image', show=progress) as bar:
        for start in range(0, len(features), ROWS_PER_BLOCK):
            block = slice(start, start + ROWS_PER_BLOCK)
            nearest[block] = index.search(features[block], 1)[1][:, 0]
            bar.update(len(nearest[block]))
    return nearest


def _improve(features: np.ndarray, num_clusters: int, centroids: Optional[np.ndarray], tolerance: float, seed: int,
             progress: bool) -> np.ndarray:
    """Iterate until the objective improves by less than the share ``tolerance``.

    faiss tells the objective before an iteration: its own gain is not yet known.
    """
    before = np.inf
    for iteration in range(ITERATIONS):
        kmeans = _kmeans(features, num_clusters, 1, len(features), seed, centroids, progress=False)
        centroids, objective = kmeans.centroids, float(kmeans.obj[0])
        if progress:
            print(f'k-means on {len(features)} features, iteration {iteration + 1}: objective {objective:g} before it')
        if before - objective <= tolerance * objective:
            break
        before = objective
    assert centroids is not None
    return centroids


def _kmeans(features: np.ndarray, num_clusters: int, num_iterations: int, points_per_centroid: int, seed: int,
            start: Optional[np.ndarray], progress: bool) -> Any:
    """A trained ``faiss.Kmeans``."""
    kmeans = load_faiss().Kmeans(
        features.shape[1],
        int(num_clusters),
        niter=num_iterations,
        seed=int(seed) % 2**31,  # faiss takes 32 bits, and no numpy integers
        gpu=num_gpus() > 0,
        min_points_per_centroid=1,  # faiss would warn below 39; small sets are meant
        max_points_per_centroid=points_per_centroid,
        verbose=progress)
    kmeans.train(features, init_centroids=start)
    return kmeans
