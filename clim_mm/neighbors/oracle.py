"""Positives by the labels, as pure as one wants: what a training gains from positives, however they are found."""

import numpy as np

from clim_mm.checks import check_number

from .positives import from_own_cluster, sample_without_replacement


def positives_of_purity(labels: np.ndarray, purity: float, num_positives: int = 10, seed: int = 0) -> np.ndarray:
    """Draw positives of which a given share has the anchor's label; the others are of any other class.

    Each place is decided by itself, with probability ``purity``; all images of the label are as likely, and all others.

    Args:
        labels: (N,) int.
        purity: 0 to 1.

    Returns:
        (N, num_positives) int32 of image ids, distinct in a row and never the anchor's; -1 = none, where there are not
        enough images.
    """
    check_number('purity of the positives', purity, least=0, most=1)
    rng = np.random.default_rng(seed)
    _, assignments, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    same = from_own_cluster(assignments, num_positives, rng)
    # Of the images sorted by label, those that stand before the anchor's label and after it.
    by_label = np.argsort(labels, kind='stable')
    size, start = sizes[assignments], (np.cumsum(sizes) - sizes)[assignments]
    other = sample_without_replacement(len(labels) - size, num_positives, rng)
    place = np.where(other >= start[:, None], other + size[:, None], other)
    other = np.where(other >= 0, by_label[place], -1)
    return np.where(rng.random(same.shape) < purity, same, other).astype(np.int32)
