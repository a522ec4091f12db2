"""Clusterings of images, by a model's heads or by k-means, and how well they agree with classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from clim_mm.errors import ConfigError
from clim_mm.models.parts.cluster_health import assignment_figures
from clim_mm.progress import progress_bar

RESTARTS = 10  # of k-means, of which the one with the least inertia counts [scikit-learn's usual number]
MOST_FITTED = 256_000  # images that k-means is fitted on [ours: faiss's 256 for each of ImageNet's 1000 classes]
KMEANS = 'kmeans'


@dataclass(frozen=True)
class Clustering:
    """Each of N images in one of K clusters.

    Attributes:
        clusters: (N,) int64, from 0 to K - 1.
        num_clusters: K; clusters may be empty.
        certainty: (N,) float, how surely each image is in its cluster.
        certainty_name: What that is: ``probability``, a head's largest, or ``cosine`` to the centre.
    """

    clusters: np.ndarray
    num_clusters: int
    certainty: np.ndarray
    certainty_name: str


def clustering_of_head(assignments: np.ndarray) -> Clustering:
    """The most probable clusters by (N, K) soft assignments."""
    return Clustering(assignments.argmax(axis=1), assignments.shape[1], assignments.max(axis=1), 'probability')


def clustering_by_kmeans(train_features: np.ndarray, features: np.ndarray, num_clusters: int,
                         seed: int = 0) -> Clustering:
    """Clusters of images by the nearest centre of a k-means (k-means++) that was fitted on the training images.

    scikit-learn's, which converges from k-means++ [ProPos] in several restarts, and not faiss's, which begins with
    random images and is meant for thousands of clusters. Fitted on ``MOST_FITTED`` images at most, it takes as many
    operations on ImageNet as some 60 iterations of the logistic probe [ours: counted].

    Args:
        train_features, features: (M, d) and (N, d) float32, L2-normalised.
        num_clusters: C, the number of classes looked for.
        seed: Of the restarts, and of the images that are drawn from more than ``MOST_FITTED``.
    """
    from sklearn.cluster import KMeans  # a training with kNN imports this package, and it takes seconds

    check_fitted(num_clusters, len(train_features))
    if len(train_features) > MOST_FITTED:
        drawn = np.random.default_rng(seed).choice(len(train_features), MOST_FITTED, replace=False)
        train_features = train_features[np.sort(drawn)]
    draws = np.random.RandomState(seed)  # goes on from restart to restart
    restarts = (KMeans(num_clusters, init='k-means++', n_init=1, random_state=draws).fit(train_features)
                for _ in progress_bar(range(RESTARTS), total=RESTARTS, desc='k-means', unit='restart'))
    best = min(restarts, key=lambda kmeans: kmeans.inertia_)
    clusters = best.predict(features).astype(np.int64)
    lengths = np.maximum(np.linalg.norm(best.cluster_centers_, axis=1), np.finfo(np.float32).tiny)
    cosine = np.einsum('nd,nd->n', features, best.cluster_centers_[clusters]) / lengths[clusters]
    return Clustering(clusters, num_clusters, cosine, 'cosine')


def check_fitted(num_clusters: int, num_images: int) -> None:
    """Check that there are as many training images as clusters of k-means."""
    if num_images < num_clusters:
        raise ConfigError(f'{num_images} training images cannot form {num_clusters} clusters: give more images.')


def counts_of(labels: np.ndarray, clusters: np.ndarray, num_classes: int, num_clusters: int) -> np.ndarray:
    """(C, K) int64: how many images of each class are in each cluster."""
    places = np.bincount(labels * num_clusters + clusters, minlength=num_classes * num_clusters)
    return places.reshape(num_classes, num_clusters)


def match(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best one-to-one match of clusters to classes (the Hungarian method): min(C, K) classes, and their clusters.

    Args:
        counts: (C, K), as of :func:`counts_of`.
    """
    from scipy.optimize import linear_sum_assignment

    classes, clusters = linear_sum_assignment(counts, maximize=True)
    return classes, clusters


def agreement(labels: np.ndarray, clustering: Clustering, num_classes: int) -> dict[str, float]:
    """How well clusters agree with classes: ``nmi``, ``ari`` and ``acc``.

    NMI (arithmetic mean of the entropies) and ARI are scikit-learn's defaults, as in CC. ACC is the share of the images
    whose cluster is matched to their class, by :func:`match`: images of clusters without a class count as wrong. With
    more clusters than classes there is ``acc_many_to_one`` too: each cluster is of the class that most of it has, so
    that more clusters alone raise it.

    Args:
        labels: (N,) int64, from 0 to C - 1.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    counts = counts_of(labels, clustering.clusters, num_classes, clustering.num_clusters)
    figures = dict(
        nmi=float(normalized_mutual_info_score(labels, clustering.clusters)),
        ari=float(adjusted_rand_score(labels, clustering.clusters)),
        acc=float(counts[match(counts)].sum() / len(labels)))
    if clustering.num_clusters > num_classes:
        figures['acc_many_to_one'] = float(counts.max(axis=0).sum() / len(labels))
    return figures


def cluster_figures(labels: np.ndarray, num_classes: int, clusterings: Mapping[str, Clustering],
                    assignments: Mapping[str, np.ndarray]) -> dict[str, float]:
    """:func:`agreement` of each clustering, and the watchdog's figures of each head, as ``FIGURE_NAME``.

    Args:
        clusterings: By name, ``kmeans`` or a head's.
        assignments: (N, K) by the head's name.
    """
    figures: dict[str, float] = {}
    for name, clustering in clusterings.items():
        found = agreement(labels, clustering, num_classes)
        if name in assignments:
            of_head = assignment_figures(torch.from_numpy(assignments[name]))
            found.update({figure: float(value) for figure, value in of_head.items()})
        figures.update({f'{figure}_{name}': value for figure, value in found.items()})
    return figures
