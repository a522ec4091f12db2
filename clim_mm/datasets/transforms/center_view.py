"""The middle of an image, as evaluations and the refresh see it."""

import math

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from clim_mm.checks import check_whole
from clim_mm.registry import TRANSFORMS

_LONG = 4  # [ours] times the shorter side: of longer images only the middle is resized


@TRANSFORMS.register_module()
class CenterView(BaseTransform):
    """Resize the shorter side, and cut out the middle: ``mmcls.ResizeEdge`` and ``CenterCrop`` by Pillow.

    Of a long image only the window that stays is resized: 5000 x 5 pixels would become 256,000 x 256. That is the same
    picture, within a level.

    Args:
        edge: Of the shorter side, in pixels.
        crop_size: Of the square that is cut out, in pixels; a shorter side stays.
    """

    def __init__(self, edge: int = 256, crop_size: int = 224) -> None:
        check_whole('edge of CenterView', edge, least=1)
        check_whole('crop_size of CenterView', crop_size, least=1)
        self.edge = edge
        self.crop_size = crop_size

    def transform(self, results: dict) -> dict:
        """Replace ``img``, (H, W, 3) uint8."""
        image = results['img']
        height, width = image.shape[:2]
        least = min(height, width)
        size = tuple(self.edge if side == least else int(self.edge * side / least) for side in (height, width))
        crop = tuple(min(self.crop_size, side) for side in size)
        start = tuple(round((side - kept) / 2) for side, kept in zip(size, crop, strict=True))
        if max(height, width) <= _LONG * least:
            top, left = start
            image = mmcv.imresize(image, size[::-1], interpolation='bilinear', backend='pillow')
            image = np.ascontiguousarray(image[top:top + crop[0], left:left + crop[1]])
        else:
            image = _resized_window(image, size, start, crop)
        return dict(results, img=image, img_shape=image.shape[:2])


def _resized_window(image: np.ndarray, size: tuple[int, ...], start: tuple[int, ...], crop: tuple[int, ...]
                    ) -> np.ndarray:
    """The window from ``start`` of ``crop`` pixels in the image of ``size``; all of them height and width."""
    parts, boxes = [], []
    for given, wanted, first, kept in zip(image.shape, size, start, crop, strict=False):
        scale = given / wanted
        begin, end = first * scale, (first + kept) * scale
        margin = math.ceil(max(scale, 1)) + 1  # as far as the filter reaches
        low, high = max(0, math.floor(begin) - margin), min(given, math.ceil(end) + margin)
        parts.append(slice(low, high))
        boxes.append((begin - low, min(end, given) - low))
    (top, bottom), (left, right) = boxes
    part = Image.fromarray(np.ascontiguousarray(image[tuple(parts)]))
    return np.array(part.resize((crop[1], crop[0]), Image.Resampling.BILINEAR, box=(left, top, right, bottom)))
