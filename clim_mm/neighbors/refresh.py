"""One refresh: features in, positives and a report out. No Runner, no process group."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .balance import cluster_balance, largest_cluster, positives_changed, share_with_copy
from .cluster import cluster, train_centroids
from .search import search
from .search_lists import search_lists
from .select import select_positives
from .sizes import DEFAULT_MEMORY, NeighborSizes, is_exact


@dataclass(frozen=True)
class Refresh:
    """What a refresh found.

    Attributes:
        positives: (N, P) int32, -1 = none.
        centroids: (m, d) float32.
        assignments: (N,) int, the cluster of each image; -1 = not clustered.
        neighbors: (N, k) int32, nearest first; -1 = none.
        report: Figures to log. ``seconds_*`` of each step, ``share_without_positive``, ``share_with_copy``,
            ``num_clusters``, ``empty_clusters``, ``cluster_balance`` and ``largest_cluster``; if not exact also
            ``recall`` and ``nprobe`` of :class:`~clim_mm.neighbors.search_lists.ListSearch`; with a table before also
            ``positives_changed``, with labels also ``purity_<strategy>``. NaN where there is no positive to take a
            share of.
    """

    positives: np.ndarray
    centroids: np.ndarray
    assignments: np.ndarray
    neighbors: np.ndarray
    report: dict[str, float]


def refresh(features: np.ndarray,
            sizes: NeighborSizes,
            num_positives: int = 10,
            strategy: str = 'center_wise',
            exact: Optional[bool] = None,
            nprobe: int = 16,
            least_recall: float = 0.99,
            memory: int = DEFAULT_MEMORY,
            start: Optional[np.ndarray] = None,
            seed: int = 0,
            labels: Optional[np.ndarray] = None,
            compare: Sequence[str] = (),
            previous: Optional[np.ndarray] = None,
            progress: bool = False) -> Refresh:
    """Cluster, search and select.

    Args:
        features: (N, d) float32, L2-normalised.
        sizes: Clusters and neighbours.
        num_positives, strategy: As in ``select_positives``.
        exact: k-means with 20 iterations on all features (256 a centre at most), and each feature compared with all.
            False: ``train_centroids``, and ``search_lists``. None takes what the number of features asks for.
        nprobe, least_recall, memory: As in ``search_lists``.
        start: (m, d) float32, centres of the refresh before, for ``train_centroids``. Not used if of another shape.
        seed: Of the clustering and of the random choices.
        labels: (N,) int class labels, for the purity of the positives alone; they choose nothing.
        compare: Further strategies whose purity is reported beside that of ``strategy``.
        previous: (N, P) int positives of the refresh before, to report how many changed; they choose nothing.
        progress: Show faiss's iterations and a progress bar.
    """
    exact = is_exact(exact, len(features))
    report = {}

    def timed(name, function, *args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        report[f'seconds_{name}'] = time.perf_counter() - start
        return result

    if exact:
        centroids, assignments = timed('cluster', cluster, features, sizes.num_clusters, seed=seed, progress=progress)
        neighbors = timed('search', search, features, sizes.num_neighbors, progress=progress)
    else:
        if start is not None and start.shape != (sizes.num_clusters, features.shape[1]):
            start = None
        centroids = timed(
            'cluster', train_centroids, features, sizes.num_clusters, seed=seed, start=start, progress=progress)
        found = timed(
            'search', search_lists, features, sizes.num_neighbors, centroids, nprobe, least_recall, seed=seed,
            memory=memory, progress=progress)
        assignments, neighbors = found.assignments, found.neighbors
        report.update(recall=found.recall, nprobe=float(found.nprobe))

    def select(name):
        return select_positives(features, centroids, assignments, neighbors, num_positives, strategy=name, seed=seed)

    positives = timed('select', select, strategy)
    report['share_without_positive'] = float((positives < 0).all(axis=1).mean())
    report['share_with_copy'] = share_with_copy(features, neighbors)
    cluster_sizes = np.bincount(assignments, minlength=sizes.num_clusters)
    report['num_clusters'] = float(len(cluster_sizes))
    report['empty_clusters'] = float((cluster_sizes == 0).sum())
    report['cluster_balance'] = cluster_balance(cluster_sizes)
    report['largest_cluster'] = largest_cluster(cluster_sizes)
    if previous is not None:
        report['positives_changed'] = positives_changed(previous, positives)
    if labels is not None:
        report[f'purity_{strategy}'] = purity(positives, labels)
        report.update({f'purity_{name}': purity(select(name), labels) for name in compare if name != strategy})
    return Refresh(positives, centroids, assignments, neighbors, report)


def purity(positives: np.ndarray, labels: np.ndarray) -> float:
    """Share of the positives that have their anchor's label.

    Args:
        positives: (N, P) int, -1 = none, which do not count.
        labels: (N,) int.

    Returns:
        From 0 to 1; NaN if there is no positive at all.
    """
    there = positives >= 0
    same = labels[positives] == labels[:, None]
    return float(same[there].mean()) if there.any() else float('nan')


def refresh_seed(seed: int, epoch: int) -> int:
    """A seed for the refresh of one epoch, in the signed 32 bits that faiss takes."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)
