"""A picture with smooth areas, edges and strong colours."""

import cv2
import numpy as np


def natural_image(height=60, width=80, seed=0):
    """(H, W, 3) uint8 BGR: coloured discs on a blurred, coloured ground."""
    rng = np.random.default_rng(seed)
    image = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3)).astype(np.uint8), (0, 0), 6)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    for _ in range(6):
        place, radius = (int(rng.integers(width)), int(rng.integers(height))), int(rng.integers(4, 14))
        cv2.circle(image, place, radius, rng.integers(0, 256, 3).tolist(), -1)
    return image
