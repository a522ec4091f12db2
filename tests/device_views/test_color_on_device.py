"""The device's colours against torchvision's on float images, for the same numbers."""

import itertools

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as F
from natural_image import natural_image

from clim_mm.device_views import PhotometricDraws
from clim_mm.device_views.color import blended, grayed, hue_turned, jittered

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
    found = grayed(pixels, torch.tensor([1.0, 0.0])).flatten(1)
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
