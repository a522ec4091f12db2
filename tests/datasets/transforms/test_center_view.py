"""The middle of an image: what the host's two transforms give, without the pixels that are thrown away."""

import tracemalloc

import numpy as np
import pytest
from mmcls.datasets.transforms import ResizeEdge
from mmcv.transforms import CenterCrop

from clim_mm.datasets.transforms import CenterView
from clim_mm.errors import ConfigError


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_the_host(image, edge, crop_size):
    resized = ResizeEdge(scale=edge, edge='short', backend='pillow').transform(dict(img=image))
    return CenterCrop(crop_size=crop_size).transform(resized)['img']


@pytest.mark.parametrize('height, width', [
    (375, 500), (500, 375), (40, 48), (256, 256), (333, 1000), (7, 28), (31, 29)])
@pytest.mark.parametrize('edge, crop_size', [(256, 224), (36, 32), (32, 33), (20, 11)])
def test_ordinary_images_are_the_same(height, width, edge, crop_size):
    image = noise(height, width)
    found = CenterView(edge, crop_size).transform(dict(img=image, img_path='a'))
    np.testing.assert_array_equal(found['img'], by_the_host(image, edge, crop_size))
    assert found['img_shape'] == found['img'].shape[:2] and found['img_path'] == 'a'


@pytest.mark.parametrize('height, width', [(40, 200), (300, 4), (9, 2000), (5, 1001), (1201, 101), (257, 1500)])
@pytest.mark.parametrize('edge, crop_size', [(256, 224), (36, 32), (32, 33), (20, 11)])
def test_long_images_are_the_same_within_a_pixel(height, width, edge, crop_size):
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows % 250, columns % 250, rows + columns < (height + width) // 2], axis=-1).astype(np.uint8)
    image[..., 2] *= 100
    found = CenterView(edge, crop_size).transform(dict(img=image))['img']
    expected = by_the_host(image, edge, crop_size)
    assert found.shape == expected.shape
    shifted = [np.roll(expected, (down, right), (0, 1))[1:-1, 1:-1] for down in (-1, 0, 1) for right in (-1, 0, 1)]
    assert min(np.abs(found[1:-1, 1:-1].astype(int) - other).mean() for other in shifted) < 3


@pytest.mark.parametrize('shape', [(5, 100_000), (100_000, 5), (1, 400_000)])
def test_a_strip_takes_no_more_memory_than_its_middle(shape):
    image = noise(*shape)
    tracemalloc.start()
    found = CenterView().transform(dict(img=image))['img']
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (224, 224, 3) and found.std() > 10
    assert peak < 2**21, 'the strip would have 256 x 5 million pixels'


@pytest.mark.parametrize('options, words', [
    (dict(edge=0), 'edge of CenterView'), (dict(crop_size=2.5), 'crop_size of CenterView')])
def test_sizes_that_are_none(options, words):
    with pytest.raises(ConfigError, match=words):
        CenterView(**options)
