"""Random colour, gray, blur and mirroring of uint8 images by OpenCV: the framework's draws, many times as fast.

Images are (H, W, 3) uint8, BGR, and come back as new ones, within one or two levels of what Pillow gives. Where the
results have a key ``drawn`` (:class:`PhotometricDraws`), colour, gray and blur are only noted there, for the device.
"""

from dataclasses import replace

import cv2
import mmcv.transforms
import numpy as np
from mmcv.transforms import BaseTransform

from clim_mm import host
from clim_mm.checks import check_number
from clim_mm.registry import TRANSFORMS

_LEVELS = np.arange(256, dtype=np.float32)  # Pillow blends in this precision
_CUT_OFF = -0.49  # added before OpenCV rounds: fractions are cut off, as Pillow does; whole numbers stay


def brightened(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black: ``factor * image``, as Pillow's ``ImageEnhance.Brightness``."""
    return cv2.LUT(image, _blended_levels(factor, toward=0.0))


def contrasted(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean of the image's gray, rounded to a level, as Pillow's ``ImageEnhance.Contrast``."""
    mean = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean()
    return cv2.LUT(image, _blended_levels(factor, toward=float(int(mean + 0.5))))


def saturated(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the image's gray, pixel by pixel, as Pillow's ``ImageEnhance.Color``."""
    return cv2.addWeighted(image, factor, in_gray(image), 1.0 - factor, _CUT_OFF)


def hue_shifted(image: np.ndarray, shift: float) -> np.ndarray:
    """Turn the hue by ``shift`` turns, -0.5 to 0.5, in whole 256ths, as torchvision and mmcv do on Pillow's HSV."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    turned = np.stack([(_LEVELS + int(shift * 255)) % 256, _LEVELS, _LEVELS], axis=-1).astype(np.uint8)
    return cv2.cvtColor(cv2.LUT(hsv, turned[None]), cv2.COLOR_HSV2BGR_FULL)


def in_gray(image: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) in every channel."""
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.merge([gray, gray, gray])


def _blended_levels(factor: float, toward: float) -> np.ndarray:
    """(256,) uint8: ``toward + factor * (level - toward)`` for each level, cut off to whole ones."""
    return np.clip(toward + np.float32(factor) * (_LEVELS - toward), 0, 255).astype(np.uint8)


_JITTER = (brightened, contrasted, saturated, hue_shifted)  # in the order of the framework's numbers


@TRANSFORMS.register_module()
class ColorJitter(host.ColorJitter):
    """``mmselfsup.ColorJitter`` by OpenCV: the same operations in the same order, some 9 times as fast."""

    def transform(self, results: dict) -> dict:
        """Change ``img``, or note the draws."""
        *factors, order = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        if 'drawn' in results:
            return dict(results, drawn=results['drawn'].with_jitter(factors, order))
        image = results['img']
        for number in order:
            if factors[number] is not None:
                image = _JITTER[number](image, factors[number])
        return dict(results, img=image)


@TRANSFORMS.register_module()
class RandomGrayscale(mmcv.transforms.RandomGrayscale):
    """``mmcv.RandomGrayscale`` of BGR images by OpenCV: luma (ITU-R BT.601) in all channels; ``prob`` by paper A.1."""

    def __init__(self, prob: float = 0.2) -> None:
        super().__init__(prob=prob, keep_channels=True, channel_weights=(0.114, 0.587, 0.299))

    def transform(self, results: dict) -> dict:
        """Turn ``img`` gray, or note that; or leave it."""
        if self._random_prob() >= self.prob:
            return results
        if 'drawn' in results:
            return dict(results, drawn=replace(results['drawn'], gray=True))
        return dict(results, img=in_gray(results['img']))


@TRANSFORMS.register_module()
class RandomGaussianBlur(host.RandomGaussianBlur):
    """``mmselfsup.RandomGaussianBlur`` by OpenCV, some 5 times as fast: cut off at 3 sigma, in no box filters.

    The paper's ``sigma_min`` and ``sigma_max`` are 0.1 and 2.0 pixels, and ``prob`` 0.5 (A.1).
    """

    def transform(self, results: dict) -> dict:
        """Blur ``img``, or note sigma; or leave it."""
        if np.random.rand() > self.prob:
            return results
        sigma = np.random.uniform(self.sigma_min, self.sigma_max)
        if 'drawn' in results:
            return dict(results, drawn=replace(results['drawn'], sigma=float(sigma)))
        return dict(results, img=cv2.GaussianBlur(results['img'], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Mirror left and right, ``prob`` by paper A.1; 20 times as fast as mmcv's, which also mirrors boxes and masks."""

    def __init__(self, prob: float = 0.5) -> None:
        check_number('prob of RandomFlip', prob, least=0, most=1)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Mirror ``img``, or leave it."""
        return dict(results, img=cv2.flip(results['img'], 1)) if np.random.rand() < self.prob else results
