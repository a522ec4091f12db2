"""Each colour operation by hand, and against Pillow's."""

import numpy as np
import pytest
from natural_image import natural_image
from PIL import Image, ImageEnhance

from clim_mm.datasets.transforms.color import brightened, contrasted, hue_shifted, in_gray, saturated


def one(*bgr):
    return np.array([[bgr]], dtype=np.uint8)


def enhanced(enhancer, image, factor):
    return np.array(enhancer(Image.fromarray(image[..., ::-1])).enhance(factor))[..., ::-1]


@pytest.mark.parametrize('ours, pillows, most', [(brightened, ImageEnhance.Brightness, 0),
                                                 (contrasted, ImageEnhance.Contrast, 1),
                                                 (saturated, ImageEnhance.Color, 1)])
@pytest.mark.parametrize('factor', [0.6, 0.93, 1.0, 1.4])
def test_against_pillow(ours, pillows, most, factor):
    image = natural_image()
    before = image.copy()
    difference = ours(image, factor).astype(int) - enhanced(pillows, image, factor)
    assert abs(difference).max() <= most
    np.testing.assert_array_equal(image, before)


def test_levels_by_hand():
    np.testing.assert_array_equal(brightened(one(100, 200, 255), 1.5), one(150, 255, 255))
    np.testing.assert_array_equal(brightened(one(101, 200, 255), 0.5), one(50, 100, 127))
    # Gray of pure levels 0 and 200: their mean is 100.
    flat = np.repeat(np.array([[0], [200]], dtype=np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(contrasted(flat, 0.5)[:, 0, 0], [50, 150])
    np.testing.assert_array_equal(contrasted(flat, 1.5)[:, 0, 0], [0, 250])


def test_contrast_is_towards_the_mean_rounded_to_a_level():
    for upper, mean in [(200, 100), (201, 101), (203, 102)]:  # of 0 and the upper level; a half goes up
        flat = np.repeat(np.array([[0], [upper]], dtype=np.uint8)[..., None], 3, axis=2)
        assert set(contrasted(flat, 0.0).flat) == set(enhanced(ImageEnhance.Contrast, flat, 0.0).flat) == {mean}


def test_without_saturation_an_image_is_gray_and_luma_weighs_the_channels():
    # 0.114 * 10 + 0.587 * 100 + 0.299 * 200 = 119.64
    np.testing.assert_array_equal(saturated(one(10, 100, 200), 0.0), one(120, 120, 120))
    np.testing.assert_array_equal(in_gray(one(10, 100, 200)), one(120, 120, 120))


@pytest.mark.parametrize('shift, expected', [(1 / 3, (0, 255, 0)), (-1 / 3, (255, 0, 0)), (0.0, (0, 0, 255))])
def test_red_turns_by_thirds(shift, expected):
    # In whole 256ths: a turn too little by 1 / 192 at most, which is 8 levels on one of the hue's six sides.
    np.testing.assert_allclose(hue_shifted(one(0, 0, 255), shift).astype(int), one(*expected), atol=8)


@pytest.mark.parametrize('shift', [-0.1, -0.03, 0.0, 0.07, 0.1])
def test_hue_against_pillow(shift):
    image = natural_image()
    h, s, v = (np.array(part) for part in Image.fromarray(image[..., ::-1]).convert('HSV').split())
    turned = ((h.astype(int) + int(shift * 255)) % 256).astype(np.uint8)
    expected = np.array(Image.merge('HSV', [Image.fromarray(part) for part in (turned, s, v)]).convert('RGB'))
    difference = abs(hue_shifted(image, shift).astype(int) - expected[..., ::-1])
    assert difference.mean() < 1.5 and np.quantile(difference, 0.99) <= 6
