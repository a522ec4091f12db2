"""Which images become an anchor's positives (paper section 3.2.1, A.2, and the rivals of Table 6), and why."""

from typing import NamedTuple

import numpy as np

from clim_mm.checks import check_choice, check_whole

from .faiss_backend import ROWS_PER_BLOCK, as_float32_matrix, blocks_of

STRATEGIES = ('random', 'knn', 'kmeans', 'knn_kmeans', 'center_wise')
# What is said of a candidate; the order is that of the codes in ``Explanation.reasons``.
REASONS = (
    'kept',  # the strategy admits it, and it is one of the P positives
    'filled',  # center_wise does not admit it: it filled up the places that were left, as one of the nearest
    'not_drawn',  # the strategy admits it, but others took the P places
    'unsure',  # the strategy admits it, but the anchor is not sure enough of its neighbours to have positives
    'farther',  # center_wise: in the anchor's cluster, but farther from its centre than the anchor is
    'other_cluster',  # in another cluster than the anchor
)
_KEPT, _FILLED, _NOT_DRAWN, _UNSURE, _FARTHER, _OTHER_CLUSTER = range(len(REASONS))


def select_positives(features: np.ndarray,
                     centroids: np.ndarray,
                     assignments: np.ndarray,
                     neighbors: np.ndarray,
                     num_positives: int = 10,
                     strategy: str = 'center_wise',
                     seed: int = 0) -> np.ndarray:
    """Choose up to ``num_positives`` positives for every image.

    With ``Omega_1`` the images of the anchor's cluster and ``Omega_2`` its k nearest neighbours:

    - ``center_wise`` [paper 3.2.1]: ``Omega_p``, those of ``Omega_1`` and ``Omega_2`` that are at most as far
      from the anchor's centre as the anchor is. More than ``num_positives``: that many at random. Otherwise all,
      filled up with the nearest of the remaining ``Omega_2`` [paper A.2, our reading].
    - ``knn_kmeans`` [paper Table 6]: at random from ``Omega_1`` and ``Omega_2`` together.
    - ``knn`` [paper Table 6, k = 10]: the nearest of ``Omega_2``.
    - ``kmeans`` [paper Table 6]: at random from ``Omega_1``.
    - ``random`` [paper Table 6]: at random from all images.

    Args:
        features: (N, d) float array.
        centroids: (m, d) float array.
        assignments: (N,) int array of each image's centre.
        neighbors: (N, k) int array, nearest first, without the image itself, -1 where missing.

    Returns:
        (N, num_positives) int32 of image ids, distinct in a row and never the anchor's; -1 = none, at the end.
    """
    features = as_float32_matrix(features)
    num_samples = len(features)
    check_choice('strategy', strategy, STRATEGIES)
    check_whole('num_positives', num_positives, least=1)
    for name, ids, least, size in (('assignments', assignments, 0, len(centroids)),
                                   ('neighbors', neighbors, -1, num_samples)):
        if len(ids) != num_samples or ids.min(initial=0) < least or ids.max(initial=0) >= size:  # -2 is an index too
            raise ValueError(f'{name} must be {num_samples} rows of ids from {least} to {size - 1}.')
    rng = np.random.default_rng(seed)
    if strategy == 'random':
        return _from_everything(num_samples, num_positives, rng)
    if strategy == 'kmeans':
        return from_own_cluster(assignments, num_positives, rng)

    to_center = distance_to_center(features, centroids, assignments)
    positives = np.empty((num_samples, num_positives), dtype=np.int32)
    for start in range(0, num_samples, ROWS_PER_BLOCK):
        rows = np.arange(start, min(start + ROWS_PER_BLOCK, num_samples))
        positives[rows] = _from_neighbors(rows, neighbors[rows], assignments, to_center, num_positives, strategy, rng)
    return positives


def distance_to_center(features: np.ndarray, centroids: np.ndarray, assignments: np.ndarray) -> np.ndarray:
    """Squared L2 distance of each feature to its own centre, (N,) float64: computed alike, so that duplicates tie."""
    distances = np.empty(len(features), dtype=np.float64)
    for block in blocks_of(features):
        difference = features[block].astype(np.float64) - centroids[assignments[block]]
        distances[block] = (difference**2).sum(axis=1)
    return distances


def _from_everything(num_samples: int, num_positives: int, rng: np.random.Generator) -> np.ndarray:
    others = sample_without_replacement(np.full(num_samples, num_samples - 1), num_positives, rng)
    return _packed(_skip(others, np.arange(num_samples)))


def from_own_cluster(assignments: np.ndarray, num_positives: int, rng: np.random.Generator) -> np.ndarray:
    """Draw others of the anchor's cluster: (N, P) int32, -1 = none, at the end."""
    # Places in an order of the images that is sorted by cluster.
    by_cluster = np.argsort(assignments, kind='stable')
    sizes = np.bincount(assignments)
    first_place = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty_like(by_cluster)
    place[by_cluster] = np.arange(len(assignments))

    start = first_place[assignments]
    others = sample_without_replacement(sizes[assignments] - 1, num_positives, rng)
    within = _skip(others, place - start)
    return _packed(np.where(within >= 0, by_cluster[within + start[:, None]], -1))


def _from_neighbors(rows: np.ndarray, omega_2: np.ndarray, assignments: np.ndarray, to_center: np.ndarray,
                    num_positives: int, strategy: str, rng: np.random.Generator) -> np.ndarray:
    """Rank each row's neighbours, the smaller the better, and keep the first ``num_positives``.

    A rank below 1 is a random place among the preferred, 1 and above the order of nearness, infinity never.
    """
    found = omega_2 >= 0
    nearness = np.broadcast_to(1.0 + np.arange(omega_2.shape[1]), omega_2.shape)
    if strategy == 'knn':
        rank = np.where(found, nearness, np.inf)
    else:
        at_random = rng.random(omega_2.shape)
        preferred = found & (assignments[omega_2] == assignments[rows, None])
        rest = np.full(omega_2.shape, np.inf)
        if strategy == 'center_wise':
            preferred &= to_center[omega_2] <= to_center[rows, None]
            rest = np.where(found, nearness, np.inf)
        rank = np.where(preferred, at_random, rest)
    order = np.argsort(rank, axis=1, kind='stable')[:, :num_positives]
    allowed = np.isfinite(np.take_along_axis(rank, order, axis=1))
    kept = np.where(allowed, np.take_along_axis(omega_2, order, axis=1), -1)
    missing = num_positives - kept.shape[1]
    return np.pad(kept, ((0, 0), (0, max(missing, 0))), constant_values=-1).astype(np.int32)


def _skip(drawn: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Map draws from ``0 .. n - 2`` to ``0 .. n - 1`` without the row's own number; -1 stays."""
    return np.where(drawn >= own[:, None], drawn + 1, drawn)


def _packed(ids: np.ndarray) -> np.ndarray:
    """As int32, with the -1 moved to the end of each row."""
    order = np.argsort(ids < 0, axis=1, kind='stable')
    return np.take_along_axis(ids, order, axis=1).astype(np.int32)


def sample_without_replacement(counts: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """For each row, draw ``size`` distinct integers uniformly from ``0 .. counts[row] - 1``, (N,) int64.

    Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987), vectorised over the rows.

    Returns:
        (N, size) int64; a row with fewer than ``size`` integers holds them all, and -1 elsewhere.
    """
    drawn = np.full((len(counts), size), -1, dtype=np.int64)
    for step in range(size):
        last = counts - size + step  # the largest integer that may be drawn in this step
        candidate = np.floor(rng.random(len(counts)) * (last + 1)).astype(np.int64)
        taken = (drawn[:, :step] == candidate[:, None]).any(axis=1)
        drawn[:, step] = np.where(last < 0, -1, np.where(taken, last, candidate))
    return drawn


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
        features, centroids, assignments: As in ``select_positives``; images without a cluster, -1, may be NaN.
        anchors: (A,) int ids.
        candidates: (A, c) int ids for each anchor, such as its neighbours or its positives; -1 = none.
        positives: (A, P) int ids of each anchor's positives; -1 = none.
    """
    ids = np.column_stack([anchors, candidates])
    clusters = np.broadcast_to(assignments[anchors, None], ids.shape)
    there = (ids >= 0) & (clusters >= 0)
    to_anchor, to_center = np.full((2, *ids.shape), np.nan)
    difference = features[ids[there]].astype(np.float64) - features[np.broadcast_to(ids[:, :1], ids.shape)[there]]
    to_anchor[there] = np.sqrt((difference**2).sum(axis=1))
    # Squared and by the very arithmetic that positives are chosen by.
    to_center[there] = distance_to_center(features[ids[there]], centroids, clusters[there])

    has_none = (positives < 0).all(axis=1, keepdims=True)
    reasons = np.where(np.broadcast_to(has_none, candidates.shape), _UNSURE, _NOT_DRAWN).astype(np.int8)
    if strategy == 'center_wise':
        reasons[~(to_center[:, 1:] <= to_center[:, :1])] = _FARTHER
    if strategy in ('kmeans', 'knn_kmeans', 'center_wise'):
        reasons[assignments[candidates] != clusters[:, 1:]] = _OTHER_CLUSTER
    chosen = (candidates[:, :, None] == positives[:, None, :]).any(axis=2)
    reasons[chosen] = np.where(reasons[chosen] == _NOT_DRAWN, _KEPT, _FILLED)
    reasons[~there[:, 1:]] = -1
    to_center = np.sqrt(to_center)
    return Explanation(to_anchor[:, 1:], to_center[:, 1:], to_center[:, 0], reasons)
