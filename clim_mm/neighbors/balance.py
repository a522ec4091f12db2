"""How even the clusters of a refresh are, and how much of the table is new [ours]."""

import numpy as np

_ROUNDING = 1e-8  # of a squared distance: by another place in the batch a network may round differently


def cluster_balance(sizes: np.ndarray) -> float:
    """Entropy of the cluster sizes, relative to that of equal ones.

    Args:
        sizes: (m,) int, images of each cluster; at least one image in all.

    Returns:
        From 0, one cluster holds everything, to 1, all are equal. 1 for a single cluster, which cannot be uneven.
    """
    if len(sizes) == 1:
        return 1.0
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(sizes))) + 0.0  # + 0.0 takes the sign off -0.0


def largest_cluster(sizes: np.ndarray) -> float:
    """Share of all images that the largest cluster holds, of (m,) int sizes."""
    return float(sizes.max() / sizes.sum())


def positives_changed(previous: np.ndarray, positives: np.ndarray) -> float:
    """Share of the positives that their anchor did not have before, in whatever order.

    Args:
        previous: (N, P') int, -1 = none: the table before.
        positives: (N, P) int, -1 = none, which do not count.

    Returns:
        From 0 to 1; NaN if there is no positive at all.
    """
    kept = np.zeros(positives.shape, dtype=bool)
    for column in previous.T:  # P' passes take less memory, and are faster, than one of (N, P, P')
        kept |= positives == column[:, None]
    there = positives >= 0
    return float((~kept[there]).mean()) if there.any() else float('nan')


def share_with_copy(features: np.ndarray, neighbors: np.ndarray, most: int = 1000) -> float:
    """Share of the images whose nearest neighbour has the same features, as a copy of the image has.

    Args:
        features: (N, d) float32, L2-normalised.
        neighbors: (N, k) int, nearest first; -1 = none.
        most: Images that are looked at, spread over the set.
    """
    ids = np.unique(np.linspace(0, len(features) - 1, min(len(features), most)).astype(int))
    gaps = [np.inf if nearest < 0 else np.square(features[i] - features[nearest]).sum()  # one by one: no memory
            for i, nearest in zip(ids, neighbors[ids, 0], strict=True)]
    return float((np.array(gaps) < _ROUNDING).mean())
