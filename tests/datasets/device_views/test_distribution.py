"""The device's views against those of MMSelfSup's own transforms, in distribution."""

import random

import mmcv.transforms
import mmselfsup.datasets.transforms as framework
import numpy as np
import torch
from mmcv.transforms import Compose, RandomApply
from natural_image import natural_image

from clim_mm.datasets.device_views import PhotometricDraws, blurred, jittered
from clim_mm.datasets.transforms import ColorJitter, RandomGaussianBlur, RandomGrayscale

DRAWS = 600
STRENGTHS = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
OURS = Compose([RandomApply([ColorJitter(**STRENGTHS)], 0.8), RandomGrayscale(0.2), RandomGaussianBlur(0.1, 2.0)])
THEIRS = Compose([
    RandomApply([framework.ColorJitter(**STRENGTHS)], 0.8),
    mmcv.transforms.RandomGrayscale(0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.299)),
    framework.RandomGaussianBlur(0.1, 2.0),
])
IMAGE = natural_image(24, 32)


def seed(number):
    random.seed(number)
    np.random.seed(number)


def of_framework(number):
    """(DRAWS, 24, 32, 3) float32, BGR."""
    seed(number)
    return np.stack([THEIRS(dict(img=IMAGE.copy()))['img'] for _ in range(DRAWS)]).astype(np.float32)


def of_device(number):
    seed(number)
    drawn = [OURS(dict(img=IMAGE, drawn=PhotometricDraws()))['drawn'] for _ in range(DRAWS)]
    rows = torch.from_numpy(np.stack([draws.as_row() for draws in drawn]))
    images = torch.from_numpy(IMAGE).permute(2, 0, 1)[None].expand(DRAWS, -1, -1, -1).float()
    return blurred(jittered(images, rows), rows[:, -1], 2.0).permute(0, 2, 3, 1).numpy()


def figures(views):
    """For each draw and channel the mean, the spread, and the mean step between neighbours; (3, DRAWS, 3)."""
    steps = abs(np.diff(views, axis=2))
    return np.stack([views.mean(axis=(1, 2)), views.std(axis=(1, 2)), steps.mean(axis=(1, 2))])


def kolmogorov_smirnov(a, b):
    """The largest distance of the two empirical distribution functions."""
    values = np.concatenate([a, b])
    shares = [np.searchsorted(np.sort(sample), values, side='right') / len(sample) for sample in (a, b)]
    return abs(shares[0] - shares[1]).max()


def test_the_same_draws_give_the_frameworks_views_but_for_rounding():
    difference = abs(of_device(5) - of_framework(5))
    assert difference.mean() < 2 and np.quantile(difference, 0.99) < 16


def test_draws_of_its_own_give_the_frameworks_distribution():
    """1.95 * sqrt(2 / n) is the Kolmogorov-Smirnov distance that equal distributions exceed once in 1,000."""
    ours, theirs = figures(of_device(1)), figures(of_framework(2))
    for mine, other in zip(ours.transpose(0, 2, 1).reshape(9, -1), theirs.transpose(0, 2, 1).reshape(9, -1),
                           strict=True):
        assert kolmogorov_smirnov(mine, other) < 1.95 * np.sqrt(2 / DRAWS)


def test_weaker_colours_would_be_noticed():
    """The test above has the power to tell strengths of 0.4 from those of 0.3."""
    weaker = Compose([RandomApply([framework.ColorJitter(0.3, 0.3, 0.3, 0.075)], 0.8), *THEIRS.transforms[1:]])
    seed(2)
    views = np.stack([weaker(dict(img=IMAGE.copy()))['img'] for _ in range(DRAWS)]).astype(np.float32)
    ours, theirs = figures(of_device(1)), figures(views)
    distances = [kolmogorov_smirnov(ours[i, :, c], theirs[i, :, c]) for i in range(3) for c in range(3)]
    assert max(distances) > 1.95 * np.sqrt(2 / DRAWS)
