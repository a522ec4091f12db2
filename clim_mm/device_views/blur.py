"""Gaussian blur of a batch, each image by a width of its own."""

import torch
import torch.nn.functional as F


def blurred(images: torch.Tensor, sigma: torch.Tensor, largest: float) -> torch.Tensor:
    """Blur images; the border is repeated outwards.

    The kernels are those of OpenCV's ``GaussianBlur`` on uint8, cut off at some 3 sigma, as in the workers.

    Args:
        images: (N, C, H, W) float32.
        sigma: (N,) float32, in pixels; 0 leaves an image as it is.
        largest: No sigma is above it. A number of the host's, so that the kernels' size need not be asked of the
            device.

    Returns:
        As ``images``.
    """
    radius = reach(largest)
    if not radius:
        return images
    number, channels, height, width = images.shape
    kernels = gaussian_kernels(sigma, radius)[:, None].expand(-1, channels, -1).reshape(number * channels, 1, -1)
    # One group for each channel of each image: a convolution of a single image with N * C channels.
    flat = images.reshape(1, number * channels, height, width)
    flat = F.pad(flat, (radius, radius, radius, radius), mode='replicate')
    flat = F.conv2d(flat, kernels[:, :, None, :], groups=number * channels)
    return F.conv2d(flat, kernels[:, :, :, None], groups=number * channels).reshape(images.shape)


def gaussian_kernels(sigma: torch.Tensor, radius: int) -> torch.Tensor:
    """Normalised Gaussians, each 0 beyond its own reach.

    Args:
        sigma: (N,) float32.
        radius: The largest reach.

    Returns:
        (N, 2 * radius + 1) float32.
    """
    offsets = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    width = sigma.clamp(min=1e-3)[:, None]  # narrower ones have all their weight at 0, too
    within = offsets.abs() <= torch.div((6 * sigma + 1).round(), 2, rounding_mode='floor')[:, None]
    weights = torch.exp(-0.5 * (offsets / width)**2) * within
    return weights / weights.sum(dim=1, keepdim=True)


def reach(sigma: float) -> int:
    """Pixels to each side that OpenCV's kernel takes on uint8: its width is ``round(6 * sigma + 1) | 1``."""
    return round(6 * sigma + 1) // 2
