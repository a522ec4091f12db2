"""One window and one set of random draws, at every resolution."""

import random

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import RandomApply, RandomFlip, RandomGrayscale
from mmselfsup.datasets.transforms import ColorJitter, RandomGaussianBlur, RandomResizedCrop

from clim_mm.datasets import MultiRes
from clim_mm.datasets.transforms import crops
from clim_mm.errors import ConfigError


def gradient():
    """Channel 0 tells the column, channel 1 the row, channel 2 is flat."""
    y, x = np.mgrid[:200, :240]
    return np.stack([x, y, np.full_like(x, 100)], axis=-1).astype(np.uint8)


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (70, 90, 3)).astype(np.uint8)


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)


@pytest.fixture
def by_pillow(monkeypatch):
    """Crops are resized by Pillow, as MMSelfSup's are."""
    monkeypatch.setattr(crops, 'resized', lambda crop, side: mmcv.imresize(crop, (side, side), backend='pillow'))


def photometric():
    return [
        RandomApply([ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)], prob=0.8),
        RandomGrayscale(prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
        RandomGaussianBlur(sigma_min=0.1, sigma_max=2.0, prob=0.5),
        RandomFlip(prob=0.5),
    ]


def test_every_resolution_shows_the_same_window():
    transform = MultiRes((128, 64, 32), scale=(0.2, 1.0))
    centers = []
    for seed in range(20):
        seed_everything(seed)
        large, *others = transform(dict(img=gradient()))['img']
        # The mean over the window of a linear image is its centre.
        centers.append(large.mean(axis=(0, 1))[:2])
        for small in others:
            np.testing.assert_allclose(small.mean(axis=(0, 1)), large.mean(axis=(0, 1)), atol=0.7)
            enlarged = cv2.resize(small, (128, 128), interpolation=cv2.INTER_LINEAR)
            inner = slice(8, -8)  # enlarging flattens the outermost pixels
            difference = enlarged[inner, inner].astype(int) - large[inner, inner]
            assert abs(difference).max() <= 2
    assert np.ptp(np.array(centers), axis=0).min() > 20, 'the windows differ from view to view'


def test_form_of_the_output():
    image = gradient()
    results = MultiRes((24, 40, 32))(dict(img=image, sample_idx=7))
    assert [img.shape for img in results['img']] == [(24, 24, 3), (40, 40, 3), (32, 32, 3)]
    assert all(img.dtype == np.uint8 for img in results['img'])
    assert results['sample_idx'] == 7
    np.testing.assert_array_equal(image, gradient())


def test_photometric_draws_are_the_same_at_every_resolution():
    transform = MultiRes((64, 48, 32), [RandomFlip(prob=0.5), RandomApply([ColorJitter(brightness=0.6)], prob=0.5)])
    seen = set()
    for seed in range(40):
        seed_everything(seed)
        renderings = transform(dict(img=gradient()))['img']
        flipped = {bool(img[0, -1, 0] < img[0, 0, 0]) for img in renderings}
        brightness = {int(img[0, 0, 2]) for img in renderings}  # of the flat channel
        assert len(flipped) == len(brightness) == 1
        seen.add((*flipped, brightness == {100}))
    assert seen == {(a, b) for a in (False, True) for b in (False, True)}


def test_each_rendering_is_what_the_transforms_alone_would_give(by_pillow):
    for seed in range(20):
        seed_everything(seed)
        renderings = MultiRes((64, 32), photometric())(dict(img=noise()))['img']
        for r, rendering in zip((64, 32), renderings, strict=True):
            seed_everything(seed)
            expected = RandomResizedCrop(r, backend='pillow')(dict(img=noise()))
            for transform in photometric():
                expected = transform(expected)
            np.testing.assert_array_equal(rendering, expected['img'])


def test_the_next_view_is_another():
    transform = MultiRes((64, 32), [RandomApply([ColorJitter(brightness=0.6)], prob=1.0)])
    seed_everything(0)
    views = [transform(dict(img=gradient()))['img'] for _ in range(10)]
    windows = {tuple(np.round(view[0].mean(axis=(0, 1))[:2] / view[0][..., 2].mean(), 3)) for view in views}
    brightness = {int(view[0][0, 0, 2]) for view in views}
    assert len(windows) == 10 and len(brightness) > 7


def test_the_random_streams_go_on_as_after_one_rendering():
    states = []
    for resolutions in [(64, ), (64, 32), (64, 32, 24, 16)]:
        seed_everything(3)
        MultiRes(resolutions, photometric())(dict(img=noise()))
        states.append((random.random(), np.random.rand()))
    seed_everything(3)
    assert states[0] == states[1] == states[2]
    assert states[0] != (random.random(), np.random.rand())


@pytest.mark.parametrize('options', [
    dict(),
    dict(scale=(0.2, 1.0)),
    dict(scale=(0.5, 0.6), ratio=(1.0, 1.0)),
    dict(ratio=(50.0, 60.0)),  # never fits: the central crop
    dict(max_attempts=0, ratio=(0.9, 1.1)),
])
def test_one_resolution_is_the_crop_of_mmselfsup(by_pillow, options):
    for seed in range(10):
        seed_everything(seed)
        found = MultiRes((48, ), **options)(dict(img=noise(seed)))['img'][0]
        after = random.random()
        seed_everything(seed)
        expected = RandomResizedCrop(48, backend='pillow', **options)(dict(img=noise(seed)))['img']
        np.testing.assert_array_equal(found, expected)
        assert after == random.random()


def test_the_crop_is_that_of_mmselfsup_with_pillow_but_for_a_level():
    for seed in range(10):
        seed_everything(seed)
        found = MultiRes((48, ), scale=(0.2, 1.0))(dict(img=noise(seed)))['img'][0].astype(int)
        seed_everything(seed)
        expected = RandomResizedCrop(48, scale=(0.2, 1.0), backend='pillow')(dict(img=noise(seed)))['img']
        assert abs(found - expected).max() <= 1


def test_renderings_share_no_memory_with_the_image():
    # The whole image at its own size: nothing has to be resized, yet CutMix will write into the rendering.
    image = noise()[:64, :64].copy()
    transform = MultiRes((64, 32), scale=(1.0, 1.0), ratio=(1.0, 1.0))
    renderings = transform(dict(img=image))['img']
    np.testing.assert_array_equal(renderings[0], image)
    for rendering in renderings:
        assert not np.shares_memory(rendering, image)
        rendering[:] = 0
    assert image.any()


@pytest.mark.parametrize('resolutions', [(), (7, ), (2049, ), (0, ), (-32, ), (32, 32), (64, 32, 64), (32.0, ),
                                         (64, '32'), (True, ), (64, None)])
def test_bad_resolutions_are_an_error(resolutions):
    with pytest.raises(ConfigError, match='distinct whole numbers from 8 to 2048'):
        MultiRes(resolutions)


def test_the_ends_of_the_range_are_allowed():
    assert [img.shape[0] for img in MultiRes([8, 2048])(dict(img=noise()))['img']] == [8, 2048]
