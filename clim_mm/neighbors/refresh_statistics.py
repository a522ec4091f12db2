"""What the report of a refresh says: purity, how even the clusters are, and how much of the table is new."""

import numpy as np

_ROUNDING = 1e-8  # of a squared distance: by another place in the batch a network may round differently


def purity(positives: np.ndarray, labels: np.ndarray) -> float:
    """Share of the (N, P) positives, -1 = none, that have their anchor's label; NaN if there is no positive."""
    there = positives >= 0
    same = labels[positives] == labels[:, None]
    return float(same[there].mean()) if there.any() else float('nan')


def cluster_balance(sizes: np.ndarray) -> float:
    """Entropy of the (m,) int cluster sizes relative to that of equal ones [ours].

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
    """Share of the (N, P) positives, -1 = none, that are not in their anchor's row of the (N, P') ``previous`` ones.

    NaN if there is no positive at all.
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
