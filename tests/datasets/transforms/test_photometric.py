"""OpenCV's transforms against the framework's: the same draws, and the same pictures but for rounding."""

import random

import mmcv.transforms
import mmselfsup.datasets.transforms as framework
import numpy as np
import pytest
from natural_image import natural_image

from clim_mm.datasets import ColorJitter, RandomFlip, RandomGaussianBlur, RandomGrayscale
from clim_mm.datasets.transforms.color import in_gray

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
