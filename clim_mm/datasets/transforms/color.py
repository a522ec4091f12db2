"""Colour operations on uint8 images, by OpenCV: what Pillow's give, within one or two of 256 levels.

Every image is (H, W, 3) uint8, BGR, and comes back as a new one of the same form.
"""

import cv2
import numpy as np

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
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.addWeighted(image, factor, cv2.merge([gray, gray, gray]), 1.0 - factor, _CUT_OFF)


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
    """``toward + factor * (level - toward)`` for each of the 256 levels, cut off to whole ones; (256,) uint8."""
    return np.clip(toward + np.float32(factor) * (_LEVELS - toward), 0, 255).astype(np.uint8)
