"""What is cut out of an image: a random window at several resolutions (paper section 3.3), or the middle."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform, RandomApply
from mmengine.dataset import Compose

from clim_mm.checks import check_bool, check_range, check_whole
from clim_mm.errors import ConfigError
from clim_mm.host import RandomResizedCrop
from clim_mm.registry import TRANSFORMS

from ..device_views import DeferredView, PhotometricDraws
from ..sample_randomness import GlobalRandomness
from .photometric import ColorJitter, RandomFlip, RandomGaussianBlur, RandomGrayscale

_SMALLEST, _LARGEST = 8, 2048
_ON_DEVICE = (ColorJitter, RandomGrayscale, RandomGaussianBlur)  # what the device does, in its order
_LONG = 4  # [ours] times the shorter side: of longer images only the middle is resized


@TRANSFORMS.register_module()
class MultiRes(RandomResizedCrop):
    """Draw a crop window once, and render it at every resolution, bilinear and antialiased.

    ``transforms`` follow on each with the same random draws [ours: the paper fixes the crop].

    Args:
        resolutions: R, side lengths in pixels, distinct, 8 to 2048. The paper's are (224, 160).
        transforms: Transforms, or their configs, of one image: colour, blur, flip.
        on_device: Render the largest resolution alone, and leave colour, blur and the other resolutions, which are made
            from the largest [ours], to the model's data preprocessor, which must be ``DeviceViews``.
        scale: Share of the image's area, from and to.
        ratio, max_attempts: As for ``mmselfsup.RandomResizedCrop``.
    """

    def __init__(self, resolutions: Sequence[int], transforms: Sequence = (), on_device: bool = False,
                 scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3),
                 max_attempts: int = 10) -> None:
        sides = resolutions if isinstance(resolutions, (tuple, list)) else (resolutions, )
        in_range = all(isinstance(r, int) and _SMALLEST <= r <= _LARGEST for r in sides)
        if not sides or not in_range or len(set(sides)) < len(sides):
            raise ConfigError(f'resolutions of MultiRes must be distinct whole numbers from {_SMALLEST} to {_LARGEST}, '
                              f'such as (224, 160), not {resolutions!r}.')
        check_range('scale of MultiRes', scale, above=0, most=1)
        check_range('ratio of MultiRes', ratio, above=0)
        check_whole('max_attempts of MultiRes', max_attempts)
        check_bool('on_device of MultiRes', on_device)
        super().__init__(size=max(sides), scale=scale, ratio=ratio, max_attempts=max_attempts)
        self.resolutions = tuple(sides)
        self.transforms = Compose(transforms)
        self.on_device = on_device
        if on_device:
            self.largest_sigma = largest_sigma(self.transforms.transforms)

    def transform(self, results: dict) -> dict:
        """Replace ``img``, (H, W, 3) uint8, by a list of (r, r, 3) uint8, one for each r of R.

        ``window``, (top, left, bottom, right) in pixels, is kept if it is there already, and else drawn and added.
        """
        if 'window' not in results:
            window = self.get_params(results['img'], self.scale, self.ratio, self.max_attempts)
            results = dict(results, window=window)
        top, left, bottom, right = results['window']
        crop = np.ascontiguousarray(results['img'][top:bottom + 1, left:right + 1])
        if self.on_device:
            done = self.transforms(dict(img=resized(crop, self.size[0]), drawn=PhotometricDraws()))
            return dict(results, img=[DeferredView(done['img'], done['drawn'], self.resolutions, self.largest_sigma)])
        # Asked for only if it is needed: it takes as long as resizing a small image.
        start = GlobalRandomness.now() if len(self.resolutions) > 1 else None
        renderings: list[np.ndarray] = []
        for r in self.resolutions:
            if renderings and start:
                start.restore()  # every further rendering gets the draws of the first
            renderings.append(self.transforms(dict(img=resized(crop, r)))['img'])
        return dict(results, img=renderings)


def resized(crop: np.ndarray, side: int) -> np.ndarray:
    """A C-contiguous (H, W, 3) uint8 crop as a square: what Pillow gives, by a level at most, some 6 times as fast."""
    # Batch first, then permuted: so torch knows it as channels_last, and copies nothing.
    channels_last = torch.from_numpy(crop)[None].permute(0, 3, 1, 2)
    square = F.interpolate(channels_last, (side, side), mode='bilinear', antialias=True)
    return square[0].permute(1, 2, 0).contiguous().numpy()


def largest_sigma(transforms: Iterable) -> float:
    """The widest blur that transforms of a view can draw, in pixels; ConfigError if the device cannot do them all."""
    found = [transform for transform in _leaves(transforms) if not isinstance(transform, RandomFlip)]
    kinds = [type(transform) for transform in found]
    if kinds != [kind for kind in _ON_DEVICE if kind in kinds]:
        raise ConfigError('MultiRes with on_device=True takes ColorJitter, RandomGrayscale and RandomGaussianBlur of '
                          'clim_mm in this order, each at most once, and RandomFlip: change transforms, or leave out '
                          'on_device.')
    return max((float(transform.sigma_max) for transform in found if isinstance(transform, RandomGaussianBlur)),
               default=0.0)


def _leaves(transforms: Iterable) -> Iterator[Any]:
    for transform in transforms:
        if isinstance(transform, RandomApply):
            yield from _leaves(transform)
        else:
            yield transform


@TRANSFORMS.register_module()
class CenterView(BaseTransform):
    """Resize the shorter side, and cut out the middle: ``mmcls.ResizeEdge`` and ``CenterCrop`` by Pillow.

    Of a long image only the middle is resized: 5000 x 5 pixels would become 256,000 x 256.

    Args:
        edge: Length that the shorter side gets, in pixels.
        crop_size: Side of the square that is cut out, in pixels; a shorter side stays.
    """

    def __init__(self, edge: int = 256, crop_size: int = 224) -> None:
        check_whole('edge of CenterView', edge, least=1)
        check_whole('crop_size of CenterView', crop_size, least=1)
        self.edge = edge
        self.crop_size = crop_size

    def transform(self, results: dict) -> dict:
        """Replace ``img``, (H, W, 3) uint8."""
        shape = results['img'].shape[:2]
        least = min(shape)
        image = _middle(results['img'], [_LONG * least + side % 2 for side in shape])  # an equal rest on both sides
        height, width = (self.edge if side == least else int(self.edge * side / least) for side in image.shape[:2])
        image = mmcv.imresize(image, (width, height), interpolation='bilinear', backend='pillow')
        image = np.ascontiguousarray(_middle(image, [self.crop_size, self.crop_size]))
        return dict(results, img=image, img_shape=image.shape[:2])


def _middle(image: np.ndarray, most: Sequence[int]) -> np.ndarray:
    """The middle of an image: of height and width so many pixels, or all if there are fewer."""
    top, left = (round(max(side - kept, 0) / 2) for side, kept in zip(image.shape, most, strict=False))
    return image[top:top + most[0], left:left + most[1]]
