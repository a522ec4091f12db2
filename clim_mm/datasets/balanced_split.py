"""A share of the images, as many of each class."""

import numpy as np

from clim_mm.errors import ConfigError


def balanced_split(labels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Draw images at random, as many of each class: ``share * N / classes``, rounded, and one at least.

    Args:
        labels: (N,) int.
        share: Of the images, above 0 and up to 1.
        seed: Of the draw.

    Returns:
        (n,) int64 ids, ascending. Of a class that has fewer images, all.

    Raises:
        ConfigError: If the share is out of range.
    """
    if not 0 < share <= 1:
        raise ConfigError(f'The share of labelled images must be above 0 and at most 1, not {share}.')
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    of_each = max(1, round(share * len(labels) / len(classes)))
    drawn = []
    for label in classes:
        ids = np.flatnonzero(labels == label)
        drawn.append(rng.choice(ids, min(of_each, len(ids)), replace=False))
    return np.sort(np.concatenate(drawn))
