"""Class labels, where a dataset has them: they measure, and choose nothing."""

from typing import Optional

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.errors import ConfigError


def labels_of(source: BaseDataset) -> Optional[np.ndarray]:
    """(N,) int64 class labels of an MMEngine-style dataset, or None if an image has none."""
    infos = (source.get_data_info(i) for i in range(len(source)))
    labels = np.fromiter((info.get('gt_label', -1) for info in infos), dtype=np.int64, count=len(source))
    return labels if (labels >= 0).all() else None


def balanced_split(labels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Draw images at random, as many of each class: ``share * N / classes``, rounded, and one at least.

    Gives (n,) int64 ids, ascending; of a class that has fewer images, all.

    Args:
        labels: (N,) int.
        share: Of the images, above 0 and up to 1.
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
