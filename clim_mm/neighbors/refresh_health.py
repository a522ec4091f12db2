"""Figures of a refresh, and whether its positives can be learned from."""

from collections.abc import Mapping

import numpy as np

from clim_mm.health import COLLAPSING, HEALTHY, MOST, NOT_LEARNING, Health

from .feature_quality import spread_ids

# Entropy of the cluster sizes over that of equal ones [ours]. With half of the images in one cluster and the others
# spread evenly it is 0.6, at 1,000 clusters. Of two or three clusters one often holds most images; at 0.7 it has 81%.
UNEVEN = 0.7
COPIES = 0.1  # share of the images that have a copy, which is their own positive [ours]
_ROUNDING = 1e-8  # of a squared distance: by another place in the batch a network may round differently


def purity(positives: np.ndarray, labels: np.ndarray) -> float:
    """Share of the (N, P) positives, -1 = none, that have their anchor's label; NaN if there is no positive."""
    there = positives >= 0
    same = labels[positives] == labels[:, None]
    return float(same[there].mean()) if there.any() else float('nan')


def share_without_positive(positives: np.ndarray) -> float:
    """Share of the images that have none in their row of (N, P) positives, -1 = none."""
    return float((positives < 0).all(axis=1).mean())


def cluster_balance(sizes: np.ndarray) -> float:
    """Entropy of the (m,) int cluster sizes relative to that of equal ones [ours].

    From 0, one cluster holds everything, to 1, all are equal. 1 for a single cluster, which cannot be uneven.
    """
    if len(sizes) == 1:
        return 1.0
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(sizes))) + 0.0  # + 0.0 takes the sign off -0.0


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
    ids = spread_ids(len(features), most)
    gaps = [np.inf if nearest < 0 else np.square(features[i] - features[nearest]).sum()  # one by one: no memory
            for i, nearest in zip(ids, neighbors[ids, 0], strict=True)]
    return float((np.array(gaps) < _ROUNDING).mean())


def judge_refresh(report: Mapping[str, float]) -> Health:
    """Judge :attr:`clim_mm.neighbors.refresh.Refresh.report`, but for its purities: labels decide nothing."""
    signs = ''
    if report['empty_clusters'] > MOST * report['num_clusters']:  # faiss splits others to fill them, where it can
        signs = f'{report["empty_clusters"]:.0f} of {report["num_clusters"]:.0f} clusters are empty'
    elif report['largest_cluster'] > MOST and report['cluster_balance'] < UNEVEN:
        signs = (f'one cluster holds {report["largest_cluster"]:.0%} of the images (balance '
                 f'{report["cluster_balance"]:.2f} of 1)')
    if signs:
        return Health(
            COLLAPSING, 'clusters',
            f'Collapsing: {signs}, so most features are nearly the same: lower the learning rate or the weight decay, '
            'and look for duplicates in the data folder.')
    if report['share_without_positive'] - report.get('share_unsure', 0.0) > MOST:
        return Health(
            NOT_LEARNING, 'positives',
            f'Not learning from neighbours: {report["share_without_positive"]:.0%} of the images have no positive, and '
            'will be trained as by plain MoCo: set fewer clusters or more neighbours.')
    if report.get('share_with_copy', 0.0) > COPIES:
        return Health(
            NOT_LEARNING, 'positives',
            f'Not learning from neighbours: {report["share_with_copy"]:.0%} of the images have the same features as '
            'another image, as copies have, and are drawn to what they are already: look for duplicates in the data '
            'folder.')
    return Health(HEALTHY, '', 'Healthy: the clusters are even enough, and most images have positives.')
