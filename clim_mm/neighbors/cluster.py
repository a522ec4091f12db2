"""k-means on the features of the whole training set (paper section 3.2.1)."""

from typing import Any, Optional

import numpy as np

from clim_mm.checks import check_whole

from .faiss_backend import as_float32_matrix, load_faiss, num_gpus, on_every_core
from .kmeans_stop import ON_ALL, ON_SAMPLE, POINTS_PER_CENTROID, Stop


@on_every_core
def cluster(features: np.ndarray,
            num_clusters: int,
            seed: int = 0,
            num_iterations: int = 20,
            max_points_per_centroid: int = 256,
            progress: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Find ``num_clusters`` centres by faiss's k-means, and each feature's nearest centre by L2 distance.

    Args:
        features: (N, d) float array.
        num_clusters: ``m``, from 1 to N. The paper's is 10,000 on ImageNet (A.2).
        seed: Of the initial centres and of the sub-sample.
        num_iterations: Of Lloyd's algorithm [ours: faiss's usual 20 to 25; the paper gives none].
        max_points_per_centroid: Centres are trained on at most ``num_clusters`` times this many points,
            drawn at random. 256 takes all of ImageNet at m = 10,000.
        progress: Print faiss's line for each iteration.

    Returns:
        Centres, (m, d) float32, and assignments, (N,) int64.

    Raises:
        ValueError: If N < m, m < 1, or a feature is not finite.
        MissingDependencyError: If faiss is missing.
    """
    features = as_float32_matrix(features)
    _check_number(num_clusters, len(features))
    kmeans = _kmeans(features, num_clusters, num_iterations, max_points_per_centroid, seed, None, progress)
    _, assignments = kmeans.assign(features)
    return kmeans.centroids, assignments.astype(np.int64)


@on_every_core
def train_centroids(features: np.ndarray,
                    num_clusters: int,
                    seed: int = 0,
                    start: Optional[np.ndarray] = None,
                    on_sample: Stop = ON_SAMPLE,
                    on_all: Stop = ON_ALL,
                    points_per_centroid: int = POINTS_PER_CENTROID,
                    progress: bool = False) -> np.ndarray:
    """Centres by k-means on a sample first, then on all features: what ``cluster`` finds, in a fraction of its time.

    A centre of few points lies near them rather than where the cluster's middle is; the iterations on all features put
    that right [ours].

    Args:
        features, num_clusters, seed: As for ``cluster``.
        start: (m, d) float32 centres to begin with on all features, such as the last refresh's. None begins on the
            sample, with m of its features at random.
        on_sample, on_all: When to stop.
        points_per_centroid: The sample has ``m`` times this many features, drawn at random. With fewer features all
            are taken at once.
        progress: Print a line for each iteration.

    Returns:
        (m, d) float32.

    Raises:
        ValueError: As for ``cluster``, or if ``start`` is of another shape or not finite.
        MissingDependencyError: If faiss is missing.
    """
    features = as_float32_matrix(features)
    _check_number(num_clusters, len(features))
    centroids = None if start is None else as_float32_matrix(start, 'start')
    if centroids is not None and centroids.shape != (num_clusters, features.shape[1]):
        raise ValueError(f'start has the shape {centroids.shape}, not {(num_clusters, features.shape[1])}.')
    size = num_clusters * points_per_centroid
    if centroids is None and size < len(features):
        ids = np.random.default_rng(seed).choice(len(features), size, replace=False)
        centroids = _improve(features[np.sort(ids)], num_clusters, None, on_sample, seed, progress)
    return _improve(features, num_clusters, centroids, on_all, seed, progress)


def _improve(features: np.ndarray, num_clusters: int, centroids: Optional[np.ndarray], stop: Stop, seed: int,
             progress: bool) -> np.ndarray:
    """Centres after so many iterations as the rule asks for.

    faiss tells the objective before an iteration, so that what the last one gained is not yet known.
    """
    before = np.inf
    for iteration in range(stop.most_iterations):
        kmeans = _kmeans(features, num_clusters, 1, len(features), seed, centroids, progress=False)
        centroids, objective = kmeans.centroids, float(kmeans.obj[0])
        if progress:
            print(f'k-means on {len(features)} features, iteration {iteration + 1}: objective {objective:g} before it')
        if before - objective <= stop.tolerance * objective:
            break
        before = objective
    assert centroids is not None
    return centroids


def _check_number(num_clusters: int, num_samples: int) -> None:
    check_whole('num_clusters, up to the number of features,', num_clusters, 1, num_samples)


def _kmeans(features: np.ndarray, num_clusters: int, num_iterations: int, points_per_centroid: int, seed: int,
            start: Optional[np.ndarray], progress: bool) -> Any:
    """A trained ``faiss.Kmeans``."""
    check_whole('seed', seed)
    faiss = load_faiss()
    kmeans = faiss.Kmeans(
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
