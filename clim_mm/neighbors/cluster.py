"""k-means on the features of the whole training set (paper section 3.2.1)."""

import numpy as np

from .faiss_backend import as_float32_matrix, load_faiss, on_every_core


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
    faiss = load_faiss()
    features = as_float32_matrix(features)
    num_samples, dim = features.shape
    if not 1 <= num_clusters <= num_samples:
        raise ValueError(f'num_clusters must be from 1 to the number of features, {num_samples}, not {num_clusters}.')
    kmeans = faiss.Kmeans(
        dim,
        num_clusters,
        niter=num_iterations,
        seed=seed,
        gpu=faiss.get_num_gpus() > 0,
        min_points_per_centroid=1,  # faiss would warn below 39; small sets are meant
        max_points_per_centroid=max_points_per_centroid,
        verbose=progress)
    kmeans.train(features)
    _, assignments = kmeans.assign(features)
    return kmeans.centroids, assignments.astype(np.int64)
