"""One refresh: features in, positives and a report out; and what it costs. No Runner, no process group."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .confidence import left_to_the_surest
from .defaults import NeighborSizes, is_exact
from .exact_search import search
from .faiss_backend import as_float32_matrix
from .feature_quality import feature_quality
from .ivf import ivf_search
from .kmeans import cluster, nearest_centroids, train_centroids
from .positives import select_positives
from .refresh_health import cluster_balance, positives_changed, purity, share_with_copy, share_without_positive
from .whitening import whitened


@dataclass(frozen=True)
class Refresh:
    """What a refresh found.

    Attributes:
        features: (N, d) float32, L2-normalised, that were compared: the given ones, or these whitened. Rows of
            unreadable images are NaN, if the given ones are.
        positives: (N, P) int32, -1 = none.
        centroids: (m, d) float32.
        assignments: (N,) int, the cluster of each image; -1 = unreadable.
        neighbors: (N, k) int32, nearest first; -1 = none.
        report: Figures to log, of the readable images. ``seconds_*`` of each step, ``share_without_positive``,
            ``share_with_copy``, ``num_clusters``, ``empty_clusters``, ``cluster_balance`` and ``largest_cluster``;
            those of ``feature_quality`` by the given features; if not exact also ``recall`` and ``nprobe`` of
            :class:`~clim_mm.neighbors.ivf.IVFResult`; with ``surest`` also ``share_unsure``, of the images that it has
            left without a positive; with a table before also ``positives_changed``, with labels also
            ``purity_<strategy>``. NaN where there is no positive to take a share of.
    """

    features: np.ndarray
    positives: np.ndarray
    centroids: np.ndarray
    assignments: np.ndarray
    neighbors: np.ndarray
    report: dict[str, float]


def refresh(features: np.ndarray,
            sizes: NeighborSizes,
            num_positives: int = 10,
            strategy: str = 'center_wise',
            whiten: Optional[float] = None,
            surest: float = 1.0,
            exact: Optional[bool] = None,
            nprobe: int = 16,
            least_recall: float = 0.99,
            start: Optional[np.ndarray] = None,
            seed: int = 0,
            readable: Optional[np.ndarray] = None,
            labels: Optional[np.ndarray] = None,
            compare: Sequence[str] = (),
            previous: Optional[np.ndarray] = None,
            progress: bool = False) -> Refresh:
    """Cluster, search and select.

    Args:
        features: (N, d) float32, L2-normalised.
        sizes: Clusters and neighbours; fewer where there are not enough readable images.
        num_positives, strategy: As in ``select_positives``.
        whiten: Compare features whitened with this ``floor``. None compares them as they are.
        surest: The share of the images that are left their positives, as in ``left_to_the_surest``.
        exact: k-means with 20 iterations on all features (256 a centre at most), and each feature compared with all.
            False: ``train_centroids``, and ``ivf_search``. None takes what the number of features asks for.
        nprobe, least_recall: As in ``ivf_search``.
        start: (m, d) float32, centres of the refresh before, for ``train_centroids``. Not used if of another shape.
        seed: Seed of the clustering and of the random choices.
        readable: (n,) int64 ids, ascending. Any other image is excluded as anchor and as positive; its row of the
            features is not looked at. None: all are readable.
        labels: (N,) int class labels, for the purity of the positives alone; they choose nothing.
        compare: Further strategies whose purity is reported beside that of ``strategy``.
        previous: (N, P) int positives of the refresh before, to report how many changed; they choose nothing.
    """
    num_images, given = len(features), features
    if readable is not None and len(readable) < num_images:
        features, labels = features[readable], None if labels is None else labels[readable]
        sizes = NeighborSizes(min(sizes.num_clusters, len(readable)),
                              max(1, min(sizes.num_neighbors, len(readable) - 1)))
    else:
        readable = None
    compared = features if whiten is None else whitened(features, whiten)
    exact = is_exact(exact, len(features))
    report = {}

    def timed(name, function, *args, **kwargs):
        begin = time.perf_counter()
        result = function(*args, **kwargs)
        report[f'seconds_{name}'] = time.perf_counter() - begin
        return result

    if exact:
        centroids, assignments = timed('cluster', cluster, compared, sizes.num_clusters, seed=seed, progress=progress)
        neighbors = timed('search', search, compared, sizes.num_neighbors, progress=progress)
    else:
        if start is not None and start.shape != (sizes.num_clusters, compared.shape[1]):
            start = None
        centroids = timed(
            'cluster', train_centroids, compared, sizes.num_clusters, seed=seed, start=start, progress=progress)
        found = timed(
            'search', ivf_search, compared, sizes.num_neighbors, centroids, nprobe, least_recall, seed=seed,
            progress=progress)
        assignments, neighbors = found.assignments, found.neighbors
        report.update(recall=found.recall, nprobe=float(found.nprobe))

    def select(name):
        return select_positives(compared, centroids, assignments, neighbors, num_positives, strategy=name, seed=seed)

    def sure(positives):
        return positives if surest == 1 else left_to_the_surest(positives, compared, surest)

    selected = timed('select', select, strategy)
    positives = sure(selected)
    report['share_without_positive'] = share_without_positive(positives)
    if surest < 1:
        report['share_unsure'] = report['share_without_positive'] - share_without_positive(selected)
    report['share_with_copy'] = share_with_copy(features, neighbors)
    cluster_sizes = np.bincount(assignments, minlength=sizes.num_clusters)
    report['num_clusters'] = float(len(cluster_sizes))
    report['empty_clusters'] = float((cluster_sizes == 0).sum())
    report['cluster_balance'] = cluster_balance(cluster_sizes)
    report['largest_cluster'] = float(cluster_sizes.max() / cluster_sizes.sum())
    report.update(feature_quality(features, positives))
    if labels is not None:
        report[f'purity_{strategy}'] = purity(positives, labels)
        report.update({f'purity_{name}': purity(sure(select(name)), labels) for name in compare if name != strategy})
    if readable is not None:
        positives, neighbors = (_ids_of_all(rows, readable, num_images) for rows in (positives, neighbors))
        assignments = _spread(assignments, readable, num_images)
        compared = given if whiten is None else _spread(compared, readable, num_images)
    if previous is not None:
        report['positives_changed'] = positives_changed(previous, positives)
    return Refresh(compared, positives, centroids, assignments, neighbors, report)


def refresh_from_table(features: np.ndarray, readable: np.ndarray, positives: np.ndarray, centroids: np.ndarray,
                       num_neighbors: int, whiten: Optional[float] = None) -> Refresh:
    """What a checkpoint can still tell of its last refresh: its table beside clusters and neighbours by other features.

    Args:
        features, readable, whiten: As in ``refresh``.
        positives: (N, P) int32, the table; -1 = none.
        centroids: (m, d) float32, the centres that were found with it.

    Returns:
        The table and the centres as given; each image's nearest centre and nearest neighbours by the features. The
        report says only ``share_without_positive``.
    """
    known = as_float32_matrix(features[readable])
    if whiten is not None:
        known = whitened(known, whiten)
        features = _spread(known, readable, len(features))
    if known.shape[1] != centroids.shape[1]:
        raise ValueError(f'Features of length {known.shape[1]} do not belong to centres of length '
                         f'{centroids.shape[1]}.')
    centroids = as_float32_matrix(centroids, 'centroids')
    k = max(1, min(num_neighbors, len(readable) - 1))
    if is_exact(None, len(known)):
        assignments, neighbors = nearest_centroids(known, centroids), search(known, k)
    else:
        found = ivf_search(known, k, centroids)
        assignments, neighbors = found.assignments, found.neighbors
    return Refresh(
        features, positives, centroids, _spread(assignments, readable, len(features)),
        _ids_of_all(neighbors, readable, len(features)),
        dict(share_without_positive=share_without_positive(positives)))


def _ids_of_all(rows: np.ndarray, readable: np.ndarray, num_images: int) -> np.ndarray:
    """(n, c) places in ``readable``, -1 = none, as (N, c) ids of all images; -1 in the rows of the others."""
    return _spread(np.where(rows >= 0, readable[rows], -1).astype(rows.dtype), readable, num_images)


def _spread(rows: np.ndarray, readable: np.ndarray, num_images: int) -> np.ndarray:
    """Rows of the readable images among those of all, which are -1, or NaN among floating-point numbers."""
    none = np.nan if np.issubdtype(rows.dtype, np.floating) else -1
    of_all = np.full((num_images, *rows.shape[1:]), none, dtype=rows.dtype)
    of_all[readable] = rows
    return of_all


def refresh_seed(seed: int, epoch: int) -> int:
    """A seed for the refresh of one epoch, in the signed 32 bits that faiss takes."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)
