"""Gaussian blur of a random width."""

from dataclasses import replace

import cv2
import numpy as np
from mmselfsup.datasets.transforms import RandomGaussianBlur as PillowGaussianBlur

from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomGaussianBlur(PillowGaussianBlur):
    """``mmselfsup.RandomGaussianBlur`` by OpenCV: the same draws, some 5 times as fast.

    OpenCV's is a Gaussian cut off at 3 sigma, where Pillow takes three box filters.

    Args:
        sigma_min, sigma_max: Range of sigma, in pixels. 0.1 to 2.0 [paper A.1].
        prob: Probability to blur. 0.5 [paper A.1].
    """

    def transform(self, results: dict) -> dict:
        """Blur ``img``, (H, W, 3) uint8; or only note the draw in ``drawn``, if it is there."""
        if np.random.rand() > self.prob:
            return results
        sigma = np.random.uniform(self.sigma_min, self.sigma_max)
        if 'drawn' in results:
            return dict(results, drawn=replace(results['drawn'], sigma=float(sigma)))
        return dict(results, img=cv2.GaussianBlur(results['img'], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
