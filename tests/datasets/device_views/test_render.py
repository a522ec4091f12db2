"""Each operation of the device: colours against torchvision's, blur against OpenCV's, mixing against the workers'."""

import itertools

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.functional as F
from natural_image import natural_image

from clim_mm.datasets import CutMix, MixUp
from clim_mm.datasets.device_views import (
    Mixture,
    PhotometricDraws,
    blended,
    blurred,
    gaussian_kernels,
    hue_turned,
    jittered,
    mixed,
    reach,
)
from clim_mm.datasets.transforms.mixing import mix

OPERATIONS = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)


def batch(number):
    """(N, 3, 20, 28) float32, BGR, of whole levels; the first is noise, so that all hues are there."""
    images = [natural_image(20, 28, seed) for seed in range(number)]
    images[0] = np.random.default_rng(0).integers(0, 256, images[0].shape)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()


def theirs(image, *steps):
    """What torchvision makes of it, on RGB, 0 to 1."""
    image = image.flip(0) / 255
    for operation, *arguments in steps:
        image = operation(image, *arguments)
    return image.flip(0) * 255


@pytest.mark.parametrize('operation, shares', [(F.adjust_brightness, (0, 0)), (F.adjust_contrast, (0, 1)),
                                               (F.adjust_saturation, (1, 0))])
def test_blends(operation, shares):
    images, factors = batch(5), torch.tensor([0.6, 0.93, 1.0, 1.4, 0.0])
    found = blended(images, factors, *(torch.full((5, ), float(share)) for share in shares))
    for image, factor, mine in zip(images, factors, found, strict=True):
        # Theirs weighs red by 0.2989 instead of 0.299.
        torch.testing.assert_close(mine, theirs(image, (operation, float(factor))), atol=0.05, rtol=0)


def test_hue():
    images, shifts = batch(6), torch.tensor([0.1, -0.1, 0.03, 0.5, -0.5, 0.0])
    found = hue_turned(images, shifts)
    for image, shift, mine in zip(images, shifts, found, strict=True):
        torch.testing.assert_close(mine, theirs(image, (F.adjust_hue, float(shift))), atol=2e-3, rtol=0)
    assert torch.equal(found[5], images[5])


def test_a_third_of_a_turn_makes_red_green():
    red, gray = torch.tensor([0.0, 0.0, 255.0]), torch.tensor([70.0, 70.0, 70.0])
    pixels = torch.stack([red, red, gray]).view(3, 3, 1, 1)
    found = hue_turned(pixels, torch.tensor([1 / 3, -1 / 3, 0.2])).flatten(1)
    torch.testing.assert_close(found, torch.tensor([[0.0, 255, 0], [255, 0, 0], [70, 70, 70]]), atol=1e-4, rtol=0)


def test_gray_by_hand():
    # 0.114 * 10 + 0.587 * 100 + 0.299 * 200 = 119.64
    pixels = torch.tensor([[10.0, 100.0, 200.0]] * 2).view(2, 3, 1, 1)
    rows = np.stack([PhotometricDraws(gray=gray).as_row() for gray in (True, False)])
    found = jittered(pixels, torch.from_numpy(rows)).flatten(1)
    torch.testing.assert_close(found, torch.tensor([[119.64] * 3, [10.0, 100.0, 200.0]]))


def test_every_order_in_one_batch():
    orders = list(itertools.permutations(range(4)))
    rng = np.random.default_rng(3)
    images = batch(len(orders) + 1)
    factors = [[*rng.uniform(0.6, 1.4, 3), rng.uniform(-0.1, 0.1)] for _ in orders]
    gray = rng.random(len(orders)) < 0.3
    draws = [PhotometricDraws(gray=bool(g)).with_jitter(f, order)
             for f, order, g in zip(factors, orders, gray, strict=True)]
    rows = torch.from_numpy(np.stack([one.as_row() for one in [*draws, PhotometricDraws()]]))
    found = jittered(images, rows)
    for image, order, f, g, mine in zip(images[:-1], orders, factors, gray, found[:-1], strict=True):
        expected = theirs(image, *((OPERATIONS[number], f[number]) for number in order))
        if g:
            expected = F.rgb_to_grayscale(expected.flip(0), 3)
        torch.testing.assert_close(mine, expected, atol=0.3, rtol=0)
    assert torch.equal(found[-1], images[-1]), 'without draws nothing changes'


SIGMAS = [0.0, 0.1, 0.4, 0.7, 1.0, 1.63, 2.0]


def smooth(number):
    images = np.stack([natural_image(20, 28, seed) for seed in range(number)])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def test_against_opencv():
    images = smooth(len(SIGMAS))
    found = blurred(images, torch.tensor(SIGMAS), largest=2.0)
    for image, sigma, mine in zip(images, SIGMAS, found, strict=True):
        hwc = image.permute(1, 2, 0).numpy().astype(np.uint8)
        expected = hwc if sigma == 0 else cv2.GaussianBlur(hwc, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        # OpenCV's weights on uint8 are of 8 bits, its result is rounded.
        difference = abs(mine.permute(1, 2, 0).numpy() - expected)
        assert difference.mean() <= 0.5 and difference.max() <= 2
    assert torch.equal(found[0], images[0])


@pytest.mark.parametrize('sigma', SIGMAS[1:])
def test_against_torchvision_inside(sigma):
    """Theirs reflects the border; beyond that the same kernel must give the same."""
    images, radius = smooth(2), reach(sigma)
    found = blurred(images, torch.full((2, ), sigma), largest=2.0)
    expected = F.gaussian_blur(images, 2 * radius + 1, sigma)
    inside = (..., slice(radius, 20 - radius), slice(radius, 28 - radius))
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-3, rtol=0)


def test_kernels_by_hand():
    # exp(-1 / 2) = 0.60653, exp(-2) = 0.13534, exp(-4.5) = 0.01111: their two-sided sum with 1 is 2.50596.
    wide = np.array([0.01111, 0.13534, 0.60653, 1, 0.60653, 0.13534, 0.01111]) / 2.50596
    found = gaussian_kernels(torch.tensor([1.0, 0.0, 0.1]), radius=3).numpy()
    np.testing.assert_allclose(found, [wide, [0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]], atol=1e-5)
    assert gaussian_kernels(torch.tensor([1.0]), radius=6)[0, :3].tolist() == [0, 0, 0], 'each has its own reach'
    assert [reach(sigma) for sigma in (0.0, 0.1, 1.0, 2.0)] == [0, 1, 3, 6]
    images = smooth(1)
    assert blurred(images, torch.zeros(1), largest=0.0) is images


def as_batch(images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()


def test_mixtures_by_hand():
    images, others = torch.zeros(3, 1, 2, 3), torch.arange(18.0).view(3, 1, 2, 3)
    mixtures = [
        Mixture(box=(0, 1, 2, 3), corner=(0, 0)),  # both rows, columns 1 and 2, from columns 0 and 1
        Mixture(),
        Mixture(box=(0, 0, 2, 3), share=0.75),
    ]
    found = mixed(images, others, torch.from_numpy(np.stack([mixture.as_row() for mixture in mixtures])))
    assert found[:, 0].tolist() == [[[0, 0, 1], [0, 3, 4]], [[0, 0, 0], [0, 0, 0]], [[3, 3.25, 3.5], [3.75, 4, 4.25]]]


@pytest.mark.parametrize('mixing, most', [(CutMix(), 0), (CutMix(same_place=False), 0), (MixUp(alpha=1.0), 0.5001)])
def test_mixtures_as_in_a_worker(mixing, most):
    rng = np.random.default_rng(1)
    images, others = rng.integers(0, 256, (2, 20, 16, 16, 3)).astype(np.uint8)
    mixtures = [mixing.draw([(16, 16)], np.random.default_rng(seed))[0] for seed in range(len(images))]
    expected = images.copy()
    for image, other, mixture in zip(expected, others, mixtures, strict=True):
        mix(image, other, mixture)
    rows = torch.from_numpy(np.stack([mixture.as_row() for mixture in mixtures]))
    found = mixed(as_batch(images), as_batch(others), rows)
    torch.testing.assert_close(found, as_batch(expected), atol=most, rtol=0)
    assert 0.2 < (found != as_batch(images)).float().mean() < 1
