"""Why an image became an anchor's positive, or did not: the rules of ``select_positives``, told for a few anchors."""

from typing import NamedTuple

import numpy as np

from clim_mm.checks import check_choice

from .positives import STRATEGIES, distance_to_center

# What is said of a candidate; the order is that of the codes in ``Explanation.reasons``.
REASONS = (
    'kept',  # the strategy admits it, and it is one of the P positives
    'filled',  # center_wise does not admit it: it filled up the places that were left, as one of the nearest
    'not_drawn',  # the strategy admits it, but others took the P places
    'farther',  # center_wise: in the anchor's cluster, but farther from its centre than the anchor is
    'other_cluster',  # in another cluster than the anchor
)
_KEPT, _FILLED, _NOT_DRAWN, _FARTHER, _OTHER_CLUSTER = range(len(REASONS))


class Explanation(NamedTuple):
    """What there is to say of (A, c) candidates of A anchors; NaN or -1 where there is no candidate or no cluster.

    Attributes:
        to_anchor: (A, c) float64, L2 distance to the anchor.
        to_center: (A, c) float64, L2 distance to the centre of the anchor's cluster.
        anchor_to_center: (A,) float64, the anchor's own distance to that centre.
        reasons: (A, c) int8, places in ``REASONS``.
    """

    to_anchor: np.ndarray
    to_center: np.ndarray
    anchor_to_center: np.ndarray
    reasons: np.ndarray


def explain_positives(features: np.ndarray,
                      centroids: np.ndarray,
                      assignments: np.ndarray,
                      anchors: np.ndarray,
                      candidates: np.ndarray,
                      positives: np.ndarray,
                      strategy: str = 'center_wise') -> Explanation:
    """Tell of each candidate where it lies, and what the strategy made of it [paper 3.2.1].

    Args:
        features: (N, d) float32; rows of images without a cluster may be NaN.
        centroids: (m, d) float32.
        assignments: (N,) int, the cluster of each image; -1 = none.
        anchors: (A,) int ids.
        candidates: (A, c) int ids for each anchor, such as its neighbours or its positives; -1 = none.
        positives: (A, P) int ids of each anchor's positives; -1 = none.
        strategy: By which the positives were chosen.
    """
    check_choice('strategy', strategy, STRATEGIES)
    own_cluster = assignments[anchors]
    there = (candidates >= 0) & (own_cluster >= 0)[:, None]
    to_center = _squared_to_centers(features, centroids, candidates, own_cluster[:, None], there)
    anchor_to_center = _squared_to_centers(features, centroids, anchors, own_cluster, own_cluster >= 0)

    refused = np.full(candidates.shape, _NOT_DRAWN)
    if strategy == 'center_wise':
        refused[~(to_center <= anchor_to_center[:, None])] = _FARTHER
    if strategy in ('kmeans', 'knn_kmeans', 'center_wise'):
        refused[assignments[candidates] != own_cluster[:, None]] = _OTHER_CLUSTER
    chosen = (candidates[:, :, None] == positives[:, None, :]).any(axis=2)
    reasons = np.where(chosen, np.where(refused == _NOT_DRAWN, _KEPT, _FILLED), refused)

    to_anchor = np.full(candidates.shape, np.nan)
    rows = np.broadcast_to(anchors[:, None], candidates.shape)
    difference = features[candidates[there]].astype(np.float64) - features[rows[there]]
    to_anchor[there] = np.sqrt((difference**2).sum(axis=1))
    return Explanation(to_anchor, np.sqrt(to_center), np.sqrt(anchor_to_center),
                       np.where(there, reasons, -1).astype(np.int8))


def _squared_to_centers(features: np.ndarray, centroids: np.ndarray, ids: np.ndarray, clusters: np.ndarray,
                        there: np.ndarray) -> np.ndarray:
    """Squared distances to the given clusters' centres, in the very arithmetic by which positives are chosen."""
    squared = np.full(ids.shape, np.nan)
    clusters = np.broadcast_to(clusters, ids.shape)
    squared[there] = distance_to_center(features[ids[there]], centroids, clusters[there])
    return squared
