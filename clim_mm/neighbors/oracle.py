"""Positives by the labels, as pure as one wants: what a training gains from positives, however they are found."""

import numpy as np

from clim_mm.checks import check_number

from .positives import sample_without_replacement


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
    order = np.argsort(labels, kind='stable')  # the images of a label stand together
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    size, start = sizes[inverse], (np.cumsum(sizes) - sizes)[inverse]
    place = np.empty(len(labels), dtype=np.int64)
    place[order] = np.arange(len(labels))

    same, other = (sample_without_replacement(counts, num_positives, rng) for counts in (size - 1, len(labels) - size))
    same += same >= (place - start)[:, None]  # past the anchor
    same = np.where(same >= 0, same + start[:, None], -1)
    other += np.where(other >= start[:, None], size[:, None], 0)  # past its label
    chosen = np.where(rng.random(same.shape) < purity, same, other)
    return np.where(chosen >= 0, order[chosen], -1).astype(np.int32)
