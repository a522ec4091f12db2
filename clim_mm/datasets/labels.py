"""Class labels, where a dataset has them. They measure; they choose nothing."""

from typing import Optional

import numpy as np
from mmengine.dataset import BaseDataset


def labels_of(source: BaseDataset) -> Optional[np.ndarray]:
    """(N,) int64 class labels of an MMEngine-style dataset, or None if an image has none."""
    infos = (source.get_data_info(i) for i in range(len(source)))
    labels = np.fromiter((info.get('gt_label', -1) for info in infos), dtype=np.int64, count=len(source))
    return labels if (labels >= 0).all() else None
