"""Gray at random."""

from dataclasses import replace

import mmcv.transforms

from clim_mm.registry import TRANSFORMS

from .color import in_gray


@TRANSFORMS.register_module()
class RandomGrayscale(mmcv.transforms.RandomGrayscale):
    """``mmcv.RandomGrayscale`` of BGR images by OpenCV: the same draws, luma (ITU-R BT.601) in all three channels.

    Args:
        prob: Probability to turn gray. 0.2 [paper A.1].
    """

    def __init__(self, prob: float = 0.2) -> None:
        super().__init__(prob=prob, keep_channels=True, channel_weights=(0.114, 0.587, 0.299))

    def transform(self, results: dict) -> dict:
        """Turn ``img``, (H, W, 3) uint8, gray, or leave it; or only note the draw in ``drawn``, if it is there."""
        if self._random_prob() >= self.prob:
            return results
        if 'drawn' in results:
            return dict(results, drawn=replace(results['drawn'], gray=True))
        return dict(results, img=in_gray(results['img']))
