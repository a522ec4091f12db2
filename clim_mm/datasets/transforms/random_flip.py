"""Mirroring at random."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from clim_mm.checks import check_number
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Mirror left and right. mmcv's also mirrors boxes and masks, and takes 20 times as long over an image alone.

    Args:
        prob: Probability to mirror. 0.5 [paper A.1].

    Raises:
        ConfigError: If it is no probability.
    """

    def __init__(self, prob: float = 0.5) -> None:
        check_number('prob of RandomFlip', prob, least=0, most=1)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Mirror ``img``, (H, W, 3) uint8, or leave it."""
        return dict(results, img=cv2.flip(results['img'], 1)) if np.random.rand() < self.prob else results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'
