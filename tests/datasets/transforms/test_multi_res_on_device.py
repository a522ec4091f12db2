"""What MultiRes leaves to the device, and what it cannot."""

import mmselfsup.datasets.transforms as framework
import numpy as np
import pytest
from mmcv.transforms import RandomApply

from clim_mm.datasets.device_views import ROW
from clim_mm.datasets.transforms import ColorJitter, MultiRes, RandomFlip, RandomGaussianBlur, RandomGrayscale
from clim_mm.errors import ConfigError

FLIP, GRAY, BLUR = RandomFlip(0.5), RandomGrayscale(0.2), RandomGaussianBlur(0.1, 1.5)
IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90, 3)).astype(np.uint8)
JITTER = RandomApply([ColorJitter(brightness=0.6)], prob=0.8)


@pytest.mark.parametrize('transforms, sigma', [([], 0.0), ([FLIP], 0.0), ([JITTER, GRAY, BLUR, FLIP], 1.5),
                                               ([FLIP, JITTER, BLUR], 1.5), ([GRAY], 0.0),
                                               ([RandomApply([JITTER, BLUR], prob=0.5)], 1.5)])
def test_on_the_device_there_is_one_large_view_with_its_draws(transforms, sigma):
    (view, ) = MultiRes((32, 64), transforms, on_device=True)(dict(img=IMAGE))['img']
    assert view.image.shape == (64, 64, 3) and view.image.dtype == np.uint8
    assert view.resolutions == (32, 64) and view.largest_sigma == sigma
    assert len(view.draws.as_row()) == ROW


@pytest.mark.parametrize('transforms', [
    [BLUR, JITTER], [JITTER, JITTER], [framework.RandomSolarize()], [framework.ColorJitter(0.4)],
    [RandomApply([GRAY, len], prob=0.5)]])
def test_what_the_device_does_not_do_is_refused(transforms):
    MultiRes((32, ), transforms)
    with pytest.raises(ConfigError, match='in this order, each at most once, and RandomFlip: change transforms'):
        MultiRes((32, ), transforms, on_device=True)


def test_the_switch_is_no_word():
    with pytest.raises(ConfigError, match='on_device of MultiRes must be True or False'):
        MultiRes((32, ), on_device='yes')
