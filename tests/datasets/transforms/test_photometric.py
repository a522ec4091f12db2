"""OpenCV's transforms against the framework's: the same draws, and the same pictures but for rounding."""

import random

import mmcv.transforms
import mmselfsup.datasets.transforms as framework
import numpy as np
import pytest
from natural_image import natural_image
from PIL import Image, ImageEnhance

from clim_mm.datasets.transforms import ColorJitter, RandomFlip, RandomGaussianBlur, RandomGrayscale
from clim_mm.datasets.transforms.photometric import brightened, contrasted, hue_shifted, in_gray, saturated

STRENGTHS = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
LUMA = dict(keep_channels=True, channel_weights=(0.114, 0.587, 0.299))


def drawn(transform, seed, image):
    random.seed(seed)
    np.random.seed(seed)
    out = transform(dict(img=image.copy()))['img']
    return out.astype(int), (random.random(), np.random.rand())


# Hue on 8 bits rounds twice, and later saturation stretches that; hence the whole jitter's 20 levels.
@pytest.mark.parametrize('ours, theirs, mean, most', [
    (ColorJitter(**STRENGTHS), framework.ColorJitter(**STRENGTHS), 2.0, 20),
    (ColorJitter(brightness=0.4, contrast=0.4), framework.ColorJitter(brightness=0.4, contrast=0.4), 0.7, 2),
    (RandomGaussianBlur(0.1, 2.0), framework.RandomGaussianBlur(0.1, 2.0), 1.0, 8),
    (RandomGrayscale(prob=0.5), mmcv.transforms.RandomGrayscale(prob=0.5, **LUMA), 0.7, 1),
])
def test_same_draws_same_pictures(ours, theirs, mean, most):
    changed = 0
    for seed in range(40):
        image = natural_image(seed=seed)
        (mine, my_state), (other, other_state) = drawn(ours, seed, image), drawn(theirs, seed, image)
        assert my_state == other_state, 'the generators stand elsewhere'
        difference = abs(mine - other)
        assert difference.mean() < mean and np.quantile(difference, 0.99) <= most
        changed += (mine != image).any()
    assert changed > 10


@pytest.mark.parametrize(
    'transform', [ColorJitter(**STRENGTHS), RandomFlip(1.0), RandomGaussianBlur(0.1, 2.0, 1.0), RandomGrayscale(1.0)])
def test_the_image_before_stays_as_it_was(transform):
    image = natural_image()
    results = dict(img=image, sample_idx=3)
    after = transform(results)
    np.testing.assert_array_equal(image, natural_image())
    assert after['sample_idx'] == 3 and after['img'].shape == image.shape and after['img'].dtype == np.uint8


@pytest.mark.parametrize('ours, theirs', [
    (ColorJitter(**STRENGTHS), framework.ColorJitter(**STRENGTHS)),
    (RandomGaussianBlur(0.1, 2.0), framework.RandomGaussianBlur(0.1, 2.0)),
])
def test_same_distribution(ours, theirs):
    """Of the mean, the spread and the mean step between neighbours of each channel, over 300 draws."""
    image = natural_image()

    def figures(transform):
        random.seed(5)
        np.random.seed(5)
        views = np.stack([transform(dict(img=image))['img'] for _ in range(300)]).astype(float)
        steps = abs(np.diff(views, axis=2))
        return np.stack([views.mean(axis=(1, 2)), views.std(axis=(1, 2)), steps.mean(axis=(1, 2))])  # 3 x 300 x 3

    mine, other = figures(ours), figures(theirs)
    np.testing.assert_allclose(mine.mean(axis=1), other.mean(axis=1), atol=0.5)
    np.testing.assert_allclose(mine.std(axis=1), other.std(axis=1), atol=0.5)


def test_probabilities():
    random.seed(0)
    np.random.seed(0)
    image = natural_image(16, 16)
    gray = np.mean([(RandomGrayscale(0.2)(dict(img=image))['img'] == in_gray(image)).all() for _ in range(2000)])
    mirrored = np.mean([(RandomFlip(0.3)(dict(img=image))['img'] == image[:, ::-1]).all() for _ in range(2000)])
    blurred = np.mean([(RandomGaussianBlur(1.0, 2.0, 0.5)(dict(img=image))['img'] != image).any() for _ in range(2000)])
    assert mirrored == pytest.approx(0.3, abs=0.04)
    assert gray == pytest.approx(0.2, abs=0.03) and blurred == pytest.approx(0.5, abs=0.04)


# Each colour operation by hand, and against Pillow's.


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
