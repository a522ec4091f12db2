"""A table of before, seen with features of now: what a checkpoint can still tell of its last refresh."""

import numpy as np

from .faiss_backend import as_float32_matrix
from .nearest_centroids import nearest_centroids
from .readable import ids_of_all
from .refresh import Refresh
from .search import search
from .search_lists import search_lists
from .sizes import default_exact


def restored(features: np.ndarray, readable: np.ndarray, positives: np.ndarray, centroids: np.ndarray,
             num_neighbors: int) -> Refresh:
    """Put a stored table and its centres beside clusters and neighbours of other features.

    Args:
        features: (N, d) float32, L2-normalised; the rows of unreadable images are not looked at.
        readable: (n,) int64 ids of the others, ascending.
        positives: (N, P) int32, the table; -1 = none.
        centroids: (m, d) float32, the centres that were found with it.
        num_neighbors: k.

    Returns:
        The table and the centres as given; each image's nearest centre and nearest neighbours by the features. The
        report says only ``share_without_positive``.

    Raises:
        ValueError: If a feature of a readable image is not finite, or has another length than the centres.
        MissingDependencyError: If faiss is missing.
    """
    known = as_float32_matrix(features[readable])
    if known.shape[1] != centroids.shape[1]:
        raise ValueError(f'Features of length {known.shape[1]} do not belong to centres of length '
                         f'{centroids.shape[1]}.')
    centroids = as_float32_matrix(centroids, 'centroids')
    k = max(1, min(num_neighbors, len(readable) - 1))
    assignments = np.full(len(features), -1, dtype=np.int64)
    if default_exact(len(known)):
        assignments[readable] = nearest_centroids(known, centroids, 1)[:, 0]
        neighbors = search(known, k)
    else:
        found = search_lists(known, k, centroids)
        assignments[readable], neighbors = found.assignments, found.neighbors
    return Refresh(
        positives, centroids, assignments, ids_of_all(neighbors, readable, len(features)),
        dict(share_without_positive=float((positives < 0).all(axis=1).mean())))

