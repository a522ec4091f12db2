"""Objects of VOC that are marked difficult."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TrainOnDifficult(BaseTransform):
    """Train on objects that are marked difficult as on all others [moco, by detectron2's loader of VOC].

    MMDetection would leave them out, which makes background of them. To stand behind ``LoadAnnotations``.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Clear ``gt_ignore_flags``, a bool for each object."""
        results['gt_ignore_flags'] = np.zeros_like(results['gt_ignore_flags'])
        return results
