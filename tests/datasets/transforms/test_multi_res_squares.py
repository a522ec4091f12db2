"""Squares of crops."""

import mmcv
import numpy as np
import pytest
from natural_image import natural_image

from clim_mm.datasets.transforms.crops import resized


@pytest.mark.parametrize('side', [16, 40, 100])
def test_torch_gives_what_pillow_gives(side):
    crop = natural_image(73, 90)
    ours = resized(crop, side).astype(int)
    pillow = mmcv.imresize(crop, (side, side), backend='pillow')
    assert ours.shape == (side, side, 3) and abs(ours - pillow).max() <= 1


def test_means_are_kept_where_pixels_are_averaged():
    fine = np.indices((64, 64)).sum(axis=0) % 2 * 255  # a chessboard of pixels
    crop = np.repeat(fine[..., None], 3, axis=2).astype(np.uint8)
    inner = resized(crop, 16)[2:-2, 2:-2]
    assert abs(inner.astype(int) - 127).max() <= 2, 'antialiased: neither black nor white'


def test_the_result_can_be_written_to_without_the_crop_changing():
    crop = natural_image(20, 20)
    square = resized(crop, 20)
    square[:] = 0
    np.testing.assert_array_equal(crop, natural_image(20, 20))
