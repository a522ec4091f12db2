"""The device's blur against OpenCV's and torchvision's."""

import cv2
import numpy as np
import pytest
import torch
import torchvision.transforms.functional as F
from natural_image import natural_image

from clim_mm.device_views.blur import blurred, gaussian_kernels, reach

SIGMAS = [0.0, 0.1, 0.4, 0.7, 1.0, 1.63, 2.0]


def batch(number):
    images = np.stack([natural_image(20, 28, seed) for seed in range(number)])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def test_against_opencv():
    images = batch(len(SIGMAS))
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
    images, radius = batch(2), reach(sigma)
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
    images = batch(1)
    assert blurred(images, torch.zeros(1), largest=0.0) is images
