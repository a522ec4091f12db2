"""Views that the device colours, blurs, downsizes and mixes instead of a worker (docs/device_views.md).

Images there are (N, 3, H, W) float32, BGR, 0 to 255, and come back as new ones; nothing is rounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional, Union

import numpy as np
import torch
import torch.nn.functional as F

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # as mmselfsup's and torchvision's ColorJitter number them
BLENDS = 3  # brightness, contrast and saturation: at most so many before the hue, and after it
ROW = 2 * BLENDS * 3 + 3  # numbers in a row: six blends of three, then hue, gray and sigma
_NO_BLEND = (1.0, 0.0, 0.0)
_TOWARD = {BRIGHTNESS: (0.0, 0.0), CONTRAST: (0.0, 1.0), SATURATION: (1.0, 0.0)}  # the pixel's gray, the mean gray
_LUMA = (0.114, 0.587, 0.299)  # of blue, green and red; ITU-R BT.601
_CORNERS = (1, 3, 5)  # where on the hue's circle of six blue, green and red begin to fall


@dataclass(frozen=True)
class PhotometricDraws:
    """Colour jitter (numbers of operations and their factors), gray and blur (sigma in pixels), in this order."""

    jitter: tuple[tuple[int, float], ...] = ()
    gray: bool = False
    sigma: float = 0.0

    def with_jitter(self, factors: Sequence[Optional[float]], order: Sequence[int]) -> 'PhotometricDraws':
        """Add the draws of a ColorJitter: a factor by number, None for none, and the order of the numbers."""
        jitter = tuple((int(number), float(factor)) for number in order if (factor := factors[number]) is not None)
        return replace(self, jitter=jitter)

    def as_row(self) -> np.ndarray:
        """(ROW,) float32: six blends (factor, share of the pixel's gray, share of the mean gray), hue, gray, sigma."""
        # Three blends before the hue and three after it hold every order, so that the costly hue comes once.
        place = next((place for place, (number, _) in enumerate(self.jitter) if number == HUE), len(self.jitter))
        blends = []
        for steps in (self.jitter[:place], self.jitter[place + 1:]):
            blends += [(factor, *_TOWARD[number]) for number, factor in steps]
            blends += [_NO_BLEND] * (BLENDS - len(steps))
        shift = self.jitter[place][1] if place < len(self.jitter) else 0.0
        return np.array([*np.ravel(blends), shift, self.gray, self.sigma], dtype=np.float32)


@dataclass(frozen=True)
class Mixture:
    """How an anchor's image is mixed with its positive's."""

    box: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right of where the positive comes in, in pixels
    corner: tuple[int, int] = (0, 0)  # top and left, in the positive's image, of what comes there
    share: float = 0.0  # of the anchor in each pixel of the box: 0 for CutMix
    lam: float = 1.0  # of the anchor in the whole, 0 to 1: the weight of its key in the loss

    def as_row(self) -> np.ndarray:
        """(7,) float32: box, corner, share."""
        return np.array([*self.box, *self.corner, self.share], dtype=np.float32)


@dataclass(frozen=True)
class DeferredView:
    """View whose colours, blur and lower resolutions are left to the device."""

    image: np.ndarray  # (r, r, 3) uint8, BGR: the crop at the largest resolution, mirrored if so drawn
    draws: PhotometricDraws
    resolutions: tuple[int, ...]
    largest_sigma: float = 0.0  # upper bound of the blurs that could have been drawn, in pixels

    @classmethod
    def of(cls, view: Union['DeferredView', np.ndarray]) -> 'DeferredView':
        """The view itself; or that of a finished image, to which nothing is done."""
        return view if isinstance(view, DeferredView) else cls(view, PhotometricDraws(), (len(view), ))


@dataclass(frozen=True)
class RenderPlan:
    """How the views of a sample are rendered, by their names; the same for all samples of a training."""

    unmixed_term: bool
    unmixed: tuple[str, ...]
    resolutions: dict[str, tuple[tuple[int, ...], ...]]
    largest_sigma: float


def rendered(views: Mapping[str, Sequence[torch.Tensor]], photometric: Mapping[str, torch.Tensor],
             mixtures: Optional[torch.Tensor], plan: RenderPlan) -> dict[str, list[torch.Tensor]]:
    """Colour and blur each view, downsize it to its resolutions, and mix the queries, as ``PackPair`` names them.

    Never reads a value on the host, so that a GPU is not waited for.

    Args:
        views: By name V tensors (N, 3, r, r), uint8 or float32, BGR, 0 to 255.
        photometric: By name (N, V, ROW) float32 of ``PhotometricDraws.as_row``.
        mixtures: (N, Q, 7) float32 of ``Mixture.as_row``, for each query at each of its resolutions. None if nothing is
            mixed.
    """
    looks: dict[str, list[torch.Tensor]] = {name: [] for name in views}
    for name, images in views.items():
        for place, (view, resolutions) in enumerate(zip(images, plan.resolutions[name], strict=True)):
            rows = photometric[name][:, place]
            image = blurred(jittered(view.float(), rows), rows[:, -1], plan.largest_sigma)
            looks[name] += [image if r == view.shape[-1] else
                            F.interpolate(image, (r, r), mode='bilinear', antialias=True) for r in resolutions]
    if mixtures is not None:
        queries, others = looks['query'], looks.pop('positive_query')
        kept = dict(anchor=queries, positive=others)
        looks.update({f'{name}_query': kept[name] for name in plan.unmixed})
        of_both = [mixed(query, other, row)
                   for query, other, row in zip(queries, others, mixtures.unbind(1), strict=True)]
        looks['query'] = of_both + (queries if plan.unmixed_term else [])
    return looks


def jittered(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, saturation, hue and gray, by (N, ROW) rows of ``PhotometricDraws``."""
    blends = rows[:, :ROW - 3].view(-1, 2 * BLENDS, 3).unbind(1)  # six of (N, 3)
    for blend in blends[:BLENDS]:
        images = blended(images, *blend.unbind(1))
    images = hue_turned(images, rows[:, -3])
    for blend in blends[BLENDS:]:
        images = blended(images, *blend.unbind(1))
    return torch.where(_each(rows[:, -2]) != 0, luma(images), images)


def blended(images: torch.Tensor, factor: torch.Tensor, gray_share: torch.Tensor,
            mean_share: torch.Tensor) -> torch.Tensor:
    """Blend with black (both shares 0), each pixel's gray (saturation) or the mean gray (contrast); all are (N,)."""
    gray = luma(images)
    toward = _each(gray_share) * gray + _each(mean_share) * gray.mean(dim=(1, 2, 3), keepdim=True)
    return (toward + _each(factor) * (images - toward)).clamp(0, 255)


def hue_turned(images: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Turn the hue of HSV by (N,) ``shift`` turns, -0.5 to 0.5; 0 changes no bit."""
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


def luma(images: torch.Tensor) -> torch.Tensor:
    """Weighted mean of the channels, (N, 1, H, W)."""
    blue, green, red = images.split(1, dim=1)
    return _LUMA[0] * blue + _LUMA[1] * green + _LUMA[2] * red


def blurred(images: torch.Tensor, sigma: torch.Tensor, largest: float) -> torch.Tensor:
    """Gaussian blur by (N,) sigma in pixels with the kernels of OpenCV's on uint8; the border is repeated outwards."""
    radius = reach(largest)  # an upper bound on the host: no synchronisation for the size of the kernels
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
    """(N, 2 * radius + 1) normalised Gaussians, each 0 beyond the reach of its sigma."""
    offsets = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    width = sigma.clamp(min=1e-3)[:, None]  # narrower ones have all their weight at 0, too
    within = offsets.abs() <= torch.div((6 * sigma + 1).round(), 2, rounding_mode='floor')[:, None]
    weights = torch.exp(-0.5 * (offsets / width)**2) * within
    return weights / weights.sum(dim=1, keepdim=True)


def reach(sigma: float) -> int:
    """Pixels to each side that OpenCV's kernel takes on uint8: its width is ``round(6 * sigma + 1) | 1``."""
    return round(6 * sigma + 1) // 2


def mixed(images: torch.Tensor, others: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Mix each image with the other of its place in the batch, by (N, 7) rows of ``Mixture``."""
    height, width = images.shape[-2:]
    top, left, bottom, right, from_top, from_left, share = rows.unbind(1)
    within_rows, rows_from = _line(height, top, bottom, from_top)
    within_columns, columns_from = _line(width, left, right, from_left)
    patch = others.gather(2, rows_from[:, None, :, None].expand_as(others))
    patch = patch.gather(3, columns_from[:, None, None, :].expand_as(others))
    inside = within_rows[:, None, :, None] & within_columns[:, None, None, :]
    share = _each(share)
    return torch.where(inside, share * images + (1 - share) * patch, images)


def _line(length: int, begin: torch.Tensor, end: torch.Tensor,
          source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Along one side: (N, length) bool, what is in the box, and (N, length) int64, from where it is taken."""
    places = torch.arange(length, device=begin.device, dtype=begin.dtype)[None]
    within = (places >= begin[:, None]) & (places < end[:, None])
    return within, (places + (source - begin)[:, None]).clamp(0, length - 1).long()


def _each(numbers: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 1): one number for each image."""
    return numbers.view(-1, 1, 1, 1)
