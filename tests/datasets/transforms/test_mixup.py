"""MixUp: each pixel of the blend, and the lam that is told of it."""

import numpy as np
import pytest

from clim_mm.datasets import MixUp
from clim_mm.datasets.transforms.mixing import blend
from clim_mm.errors import ConfigError


def pair(shapes, rng, positive_idx=5, seed=0):
    """An anchor and a positive of random pixels, at each of the shapes."""
    pixels = np.random.default_rng(seed)
    query, positive = ([pixels.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes] for _ in range(2))
    return dict(views=dict(query=query, positive_query=positive), positive_idx=positive_idx,
                lam=[0.0 if positive_idx >= 0 else 1.0] * len(shapes), rng=rng)


@pytest.mark.parametrize('alpha', [0.2, 1.0, 8.0])
def test_every_pixel_is_the_rounded_blend(alpha):
    shapes = [(32, 32), (24, 24), (7, 5)]
    for seed in range(20):
        before, given = pair(shapes, None)['views'], pair(shapes, np.random.default_rng(seed))
        results = MixUp(alpha)(given)
        lam = np.random.default_rng(seed).beta(alpha, alpha)
        assert results['lam'] == [lam] * 3 and all(type(share) is float for share in results['lam'])
        for mixed, anchor, positive in zip(results['views']['query'], *before.values(), strict=True):
            exact = lam * anchor.astype(float) + (1 - lam) * positive.astype(float)
            assert mixed.dtype == np.uint8 and mixed.shape == anchor.shape
            assert abs(mixed - exact).max() <= 0.5 + 1e-9
        for image, kept in zip(given['views']['positive_query'], before['positive_query'], strict=True):
            np.testing.assert_array_equal(image, kept)


def test_blends_by_hand():
    image, other = np.array([0, 10, 255, 255, 3, 1, 2], np.uint8), np.array([255, 20, 0, 255, 0, 0, 1], np.uint8)
    # 0.25 a + 0.75 b is 191.25, 17.5 (to the even 18), 63.75, 255, 0.75, 0.25 and 1.25.
    assert blend(image, other, 0.25).tolist() == [191, 18, 64, 255, 1, 0, 1]
    np.testing.assert_array_equal(blend(image, other, 1.0), image)
    np.testing.assert_array_equal(blend(image, other, 0.0), other)
    assert blend(image, image, 0.37).tolist() == image.tolist()


def test_lam_is_drawn_from_beta():
    rng = np.random.default_rng(0)
    for alpha in (0.2, 2.0):
        transform = MixUp(alpha)
        lam = np.array([transform(pair([(2, 2)], rng))['lam'][0] for _ in range(4000)])
        variance = 1 / (4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
        assert abs(lam.mean() - 0.5) < 5 * np.sqrt(variance / 4000)
        assert abs(lam.var() - variance) < 0.1 * variance


def test_without_a_positive_nothing_changes():
    given = pair([(16, 16), (12, 12)], np.random.default_rng(0), positive_idx=-1)
    before = [image.copy() for image in given['views']['query']]
    results = MixUp()(given)
    assert results['lam'] == [1.0, 1.0]
    for image, kept in zip(results['views']['query'], before, strict=True):
        np.testing.assert_array_equal(image, kept)


def test_the_default_is_the_papers():
    assert MixUp().alpha == 0.2


@pytest.mark.parametrize('alpha', [0, -0.2, float('nan'), '0.2'])
def test_alpha_out_of_range_is_an_error(alpha):
    with pytest.raises(ConfigError, match='alpha of MixUp must be a number above 0, not '):
        MixUp(alpha)
