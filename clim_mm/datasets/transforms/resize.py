"""Resizing of crops."""

import mmcv
import numpy as np
import torch
import torch.nn.functional as F

BACKENDS = ('torch', 'cv2', 'pillow')


def resized(crop: np.ndarray, side: int, interpolation: str, backend: str) -> np.ndarray:
    """A crop as a square.

    Args:
        crop: (H, W, 3) uint8; C-contiguous.
        side: r, in pixels.
        interpolation: ``bilinear`` or ``bicubic`` for ``torch``; otherwise what mmcv has.
        backend: ``torch``, which gives what Pillow gives, by one level at most, some 6 times as fast: antialiased, on
            uint8; or mmcv's ``pillow`` and ``cv2``, which is not antialiased.

    Returns:
        (r, r, 3) uint8.
    """
    if backend != 'torch':
        return mmcv.imresize(crop, (side, side), interpolation=interpolation, backend=backend)
    # Batch first, then permuted: so torch knows it as channels_last, and copies nothing.
    channels_last = torch.from_numpy(crop)[None].permute(0, 3, 1, 2)
    square = F.interpolate(channels_last, (side, side), mode=interpolation, antialias=True)
    return square[0].permute(1, 2, 0).contiguous().numpy()
