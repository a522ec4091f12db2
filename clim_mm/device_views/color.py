"""Colour operations on a batch, each image by numbers of its own.

Images are (N, 3, H, W) float32, BGR, 0 to 255, and come back as new ones; the numbers are (N,) float32. What
torchvision's give on float images.
"""

import torch

from .draws import BLENDS, ROW

_LUMA = (0.114, 0.587, 0.299)  # of blue, green and red; ITU-R BT.601
_CORNERS = (1, 3, 5)  # where on the hue's circle of six blue, green and red begin to fall


def jittered(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, saturation, hue and gray.

    Args:
        images: As above.
        rows: (N, ROW) float32 of ``PhotometricDraws.as_row``.
    """
    blends = rows[:, :ROW - 3].view(-1, 2 * BLENDS, 3).unbind(1)  # six of (N, 3)
    for blend in blends[:BLENDS]:
        images = blended(images, *blend.unbind(1))
    images = hue_turned(images, rows[:, -3])
    for blend in blends[BLENDS:]:
        images = blended(images, *blend.unbind(1))
    return grayed(images, rows[:, -2])


def blended(images: torch.Tensor, factor: torch.Tensor, gray_share: torch.Tensor,
            mean_share: torch.Tensor) -> torch.Tensor:
    """Blend with black (both shares 0), with each pixel's gray (saturation) or with the mean gray (contrast).

    A factor of 1 with shares of 0 leaves an image exactly as it is.

    Args:
        images: As above.
        factor: Share of the image itself, at least 0; above 1 it moves away.
        gray_share, mean_share: 0 or 1, not both 1.
    """
    gray = luma(images)
    toward = _each(gray_share) * gray + _each(mean_share) * gray.mean(dim=(1, 2, 3), keepdim=True)
    return (toward + _each(factor) * (images - toward)).clamp(0, 255)


def hue_turned(images: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Turn the hue of HSV by ``shift`` turns, -0.5 to 0.5; 0 leaves an image exactly as it is."""
    blue, green, red = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    slope = 1 / chroma.clamp(min=torch.finfo(images.dtype).tiny)  # where there is no colour, it is multiplied by 0
    sixths = torch.where(
        value == red, (green - blue) * slope,
        torch.where(value == green, 2 + (blue - red) * slope, 4 + (red - green) * slope))
    sixths = sixths + 6 * shift.view(-1, 1, 1)
    places = torch.stack([(corner + sixths) % 6 for corner in _CORNERS], dim=1)
    turned = value[:, None] - chroma[:, None] * torch.minimum(places, 4 - places).clamp(0, 1)
    return torch.where(_each(shift) != 0, turned, images)


def grayed(images: torch.Tensor, gray: torch.Tensor) -> torch.Tensor:
    """Luma in every channel where ``gray`` is 1, and the image itself where it is 0."""
    return torch.where(_each(gray) != 0, luma(images), images)


def luma(images: torch.Tensor) -> torch.Tensor:
    """Weighted mean of the channels, (N, 1, H, W)."""
    blue, green, red = images.split(1, dim=1)
    return _LUMA[0] * blue + _LUMA[1] * green + _LUMA[2] * red


def _each(numbers: torch.Tensor) -> torch.Tensor:
    """One number for each image, to be spread over its pixels."""
    return numbers.view(-1, 1, 1, 1)
