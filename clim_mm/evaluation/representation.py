"""What frozen features look like: how close classes and positives lie, and how evenly all are spread."""

import numpy as np

from clim_mm.errors import ConfigError
from clim_mm.neighbors import STRATEGIES
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh import refresh

_ROWS_PER_BLOCK = 1024


def intra_class_similarity(features: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine over the pairs of different images of a class, averaged over the classes (paper appendix C).

    Worked out from the sum of a class's unit vectors: its squared length is the sum over all pairs.

    Args:
        features: (N, d) float, of any length but 0.
        labels: (N,) int. Classes of a single image have no pair, and do not count.

    Returns:
        From -1 to 1.
    """
    check_pairs(labels)
    unit = unit_rows(features)
    classes, class_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(classes), unit.shape[1]))
    np.add.at(sums, class_of, unit)
    paired = sizes > 1
    n = sizes[paired].astype(np.float64)
    return float((((sums[paired]**2).sum(axis=1) - n) / (n * (n - 1))).mean())


def check_pairs(labels: np.ndarray) -> None:
    """Check that there are pairs of images of a class."""
    if len(np.unique(labels)) == len(labels):
        raise ConfigError('No class has two images, so that there is no similarity within classes: give labelled '
                          'images of which some share a class.')


def alignment(features: np.ndarray, positives: np.ndarray, power: float = 2.0) -> float:
    """Mean distance of anchors to their positives, to the power of ``power`` (Wang and Isola, ICML 2020, equation 4).

    Args:
        features: (N, d) float, of any length but 0; put on the unit sphere.
        positives: (N, P) int ids, -1 = none, which do not count.
        power: Their alpha, 2.

    Returns:
        0 where all positives lie on their anchors; NaN if there is no positive.
    """
    unit = unit_rows(features)
    total, count = 0.0, 0
    for column in positives.T:
        there = column >= 0
        distances = np.linalg.norm(unit[there] - unit[column[there]], axis=1)
        total += float((distances**power).sum())
        count += int(there.sum())
    return total / count if count else float('nan')


def uniformity(features: np.ndarray, t: float = 2.0, most: int = 10_000, seed: int = 0) -> float:
    """Logarithm of the mean of ``exp(-t * distance ** 2)`` over all pairs (Wang and Isola, ICML 2020, equation 5).

    Args:
        features: (N, d) float, of any length but 0; put on the unit sphere.
        t: Theirs, 2.
        most: Images whose pairs are looked at, drawn at random if there are more.
        seed: Of the draw.

    Returns:
        0 where all features are one; towards ``-2 t`` (in many dimensions) where they are spread evenly.
    """
    if len(features) < 2:
        raise ConfigError(f'{len(features)} images have no pairs: give two or more.')
    if len(features) > most:
        features = features[np.random.default_rng(seed).choice(len(features), most, replace=False)]
    unit = unit_rows(features)
    n, total = len(unit), 0.0
    for start in range(0, n, _ROWS_PER_BLOCK):
        squared = 2.0 - 2.0 * unit[start:start + _ROWS_PER_BLOCK] @ unit.T
        total += float(np.exp(-t * np.maximum(squared, 0.0)).sum())
    return float(np.log((total - n) / (n * (n - 1))))  # without the pairs of an image with itself


def diagnose(pooled: np.ndarray,
             labels: np.ndarray,
             embeddings: np.ndarray,
             train_labels: np.ndarray,
             sizes: NeighborSizes,
             num_positives: int = 10,
             strategy: str = 'center_wise',
             seed: int = 0,
             progress: bool = False) -> dict[str, float]:
    """Similarity within classes of held-out images, and what a refresh on the training images would find.

    Args:
        pooled: (M, D) float, of the held-out images.
        labels: (M,) int.
        embeddings: (N, d) float32, of the training images, L2-normalised.
        train_labels: (N,) int.
        sizes, num_positives, strategy, seed, progress: As in :func:`clim_mm.neighbors.refresh.refresh`.

    Returns:
        ``intra_class_similarity``; ``alignment`` of the positives and ``uniformity`` of the embeddings;
        ``purity_<strategy>`` for all strategies; ``share_without_positive``, ``num_clusters``, ``empty_clusters``,
        ``cluster_balance`` and ``largest_cluster``.
    """
    figures = dict(intra_class_similarity=intra_class_similarity(pooled, labels))
    found = refresh(embeddings, sizes, num_positives, strategy, seed=seed, labels=train_labels, compare=STRATEGIES,
                    progress=progress)
    figures['alignment'] = alignment(embeddings, found.positives)
    figures['uniformity'] = uniformity(embeddings, seed=seed)
    figures.update((name, value) for name, value in found.report.items() if not name.startswith('seconds_'))
    return figures


def unit_rows(features: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Each row at length 1, as ``dtype``."""
    rows: np.ndarray = np.asarray(features, dtype=dtype)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError('A feature is 0 or not finite, and has no direction.')
    return rows / lengths
