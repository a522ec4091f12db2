"""One view of an image at several resolutions (paper section 3.3)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.image.geometric import cv2_interp_codes
from mmcv.transforms import RandomApply
from mmengine.dataset import Compose

from clim_mm.checks import check_bool, check_choice, check_range, check_whole
from clim_mm.errors import ConfigError
from clim_mm.host import RandomResizedCrop
from clim_mm.registry import TRANSFORMS

from ..device_views import DeferredView, PhotometricDraws
from ..sample_randomness import GlobalRandomness
from .photometric import ColorJitter, RandomFlip, RandomGaussianBlur, RandomGrayscale

_SMALLEST, _LARGEST = 8, 2048
_ON_DEVICE = (ColorJitter, RandomGrayscale, RandomGaussianBlur)  # what the device does, in its order


@TRANSFORMS.register_module()
class MultiRes(RandomResizedCrop):
    """Draw a crop window once, and render it at every resolution.

    ``transforms`` follow on each rendering with the same random draws, so that the renderings show the same
    view [ours: the paper fixes the crop].

    Args:
        resolutions: R, side lengths in pixels, distinct, 8 to 2048. The paper's are (224, 160).
        transforms: Transforms, or their configs, of one image: colour, blur, flip.
        interpolation, backend: As for ``resized``.
        on_device: Render the largest resolution alone, and leave colour, blur and the other resolutions to the
            device, with the same draws: the list then has one :class:`DeferredView`. The other resolutions are made
            from the largest, after its blur, bilinear and antialiased [ours]. It needs the model's data preprocessor
            to be ``DeviceViews``, and ``transforms`` of this package in the order ColorJitter, RandomGrayscale,
            RandomGaussianBlur, each at most once; RandomFlip, which stays in the worker, anywhere.
        **kwargs: ``scale`` (share of the image's area), ``ratio`` and ``max_attempts``, as for
            ``mmselfsup.RandomResizedCrop``.
    """

    def __init__(self, resolutions: Sequence[int], transforms: Sequence = (), interpolation: str = 'bilinear',
                 backend: str = 'torch', on_device: bool = False, **kwargs) -> None:
        sides = resolutions if isinstance(resolutions, (tuple, list)) else (resolutions, )
        in_range = all(isinstance(r, int) and _SMALLEST <= r <= _LARGEST for r in sides)
        if not sides or not in_range or len(set(sides)) < len(sides):
            raise ConfigError(f'resolutions of MultiRes must be distinct whole numbers from {_SMALLEST} to {_LARGEST}, '
                              f'such as (224, 160), not {resolutions!r}.')
        check_range('scale of MultiRes', kwargs.get('scale', (0.08, 1.0)), above=0, most=1)
        check_range('ratio of MultiRes', kwargs.get('ratio', (3 / 4, 4 / 3)), above=0)
        check_whole('max_attempts of MultiRes', kwargs.get('max_attempts', 10))
        check_choice('backend of MultiRes', backend, ('torch', 'cv2', 'pillow'))
        check_choice('interpolation of MultiRes', interpolation,
                     ('bilinear', 'bicubic') if backend == 'torch' else cv2_interp_codes)
        check_bool('on_device of MultiRes', on_device)
        super().__init__(size=max(sides), interpolation=interpolation, **kwargs)
        self.backend = backend
        self.resolutions = tuple(sides)
        self.transforms = Compose(transforms)
        self.on_device = on_device
        if on_device:
            if interpolation != 'bilinear':
                raise ConfigError(f'MultiRes with on_device=True renders bilinear, not {interpolation!r}: leave out '
                                  'interpolation, or on_device.')
            self.largest_sigma = largest_sigma(self.transforms.transforms)

    def transform(self, results: dict) -> dict:
        """Replace ``img``, (H, W, 3) uint8, by a list of (r, r, 3) uint8, one for each r of R."""
        top, left, bottom, right = self.get_params(results['img'], self.scale, self.ratio, self.max_attempts)
        crop = np.ascontiguousarray(results['img'][top:bottom + 1, left:right + 1])
        if self.on_device:
            square = resized(crop, self.size[0], self.interpolation, self.backend)
            done = self.transforms(dict(img=square, drawn=PhotometricDraws()))
            return dict(results, img=[DeferredView(done['img'], done['drawn'], self.resolutions, self.largest_sigma)])
        start = GlobalRandomness.now()
        renderings: list[np.ndarray] = []
        for r in self.resolutions:
            if renderings:
                start.restore()  # every further rendering gets the draws of the first
            square = resized(crop, r, self.interpolation, self.backend)
            renderings.append(self.transforms(dict(img=square))['img'])
        return dict(results, img=renderings)


def resized(crop: np.ndarray, side: int, interpolation: str, backend: str) -> np.ndarray:
    """A crop as a square, (side, side, 3) uint8.

    Args:
        crop: (H, W, 3) uint8; C-contiguous.
        interpolation: ``bilinear`` or ``bicubic`` for ``torch``; otherwise what mmcv has.
        backend: ``torch``, which gives what Pillow gives, by one level at most, some 6 times as fast: antialiased, on
            uint8; or mmcv's ``pillow`` and ``cv2``, which is not antialiased.
    """
    if backend != 'torch':
        return mmcv.imresize(crop, (side, side), interpolation=interpolation, backend=backend)
    # Batch first, then permuted: so torch knows it as channels_last, and copies nothing.
    channels_last = torch.from_numpy(crop)[None].permute(0, 3, 1, 2)
    square = F.interpolate(channels_last, (side, side), mode=interpolation, antialias=True)
    return square[0].permute(1, 2, 0).contiguous().numpy()


def largest_sigma(transforms: Iterable) -> float:
    """The widest blur that transforms of a view can draw, in pixels; 0 if there is none.

    Raises:
        ConfigError: If the device cannot do them, or does them in another order.
    """
    found = [transform for transform in _leaves(transforms) if not isinstance(transform, RandomFlip)]
    places = [next((place for place, kind in enumerate(_ON_DEVICE) if isinstance(transform, kind)), -1)
              for transform in found]
    if -1 in places or places != sorted(set(places)):
        names = ', '.join(getattr(transform, '__name__', type(transform).__name__) for transform in found)
        raise ConfigError('MultiRes with on_device=True leaves clim_mm\'s ColorJitter, RandomGrayscale and '
                          'RandomGaussianBlur to the device, in this order and each at most once, beside RandomFlip, '
                          f'not {names}: change transforms, or leave out on_device.')
    return max((float(transform.sigma_max) for transform in found if isinstance(transform, RandomGaussianBlur)),
               default=0.0)


def _leaves(transforms: Iterable) -> Iterator[Any]:
    for transform in transforms:
        if isinstance(transform, RandomApply):
            yield from _leaves(transform)
        else:
            yield transform
