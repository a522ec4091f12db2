"""One view of an image at several resolutions (paper section 3.3)."""

from collections.abc import Sequence

import numpy as np
from mmcv.image.geometric import cv2_interp_codes
from mmengine.dataset import Compose

from clim_mm.checks import check_bool, check_choice, check_range, check_whole
from clim_mm.device_views import DeferredView, PhotometricDraws
from clim_mm.errors import ConfigError
from clim_mm.host import RandomResizedCrop
from clim_mm.registry import TRANSFORMS

from ..sample_randomness import GlobalRandomness
from .on_device import largest_sigma
from .resize import BACKENDS, resized

_SMALLEST, _LARGEST = 8, 2048
_ANTIALIASED_BY_TORCH = ('bilinear', 'bicubic')


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

    Raises:
        ConfigError: If the resolutions are not distinct integers in that range, or ``scale`` or ``ratio`` are no
            ranges, or the backend lacks the interpolation, or the device cannot do what ``transforms`` say.
    """

    def __init__(self,
                 resolutions: Sequence[int],
                 transforms: Sequence = (),
                 interpolation: str = 'bilinear',
                 backend: str = 'torch',
                 on_device: bool = False,
                 **kwargs) -> None:
        sides = resolutions if isinstance(resolutions, (tuple, list)) else (resolutions, )
        in_range = all(isinstance(r, int) and _SMALLEST <= r <= _LARGEST for r in sides)
        if not sides or not in_range or len(set(sides)) < len(sides):
            raise ConfigError(f'resolutions of MultiRes must be distinct whole numbers from {_SMALLEST} to {_LARGEST}, '
                              f'such as (224, 160), not {resolutions!r}.')
        check_range('scale of MultiRes', kwargs.get('scale', (0.08, 1.0)), above=0, most=1)
        check_range('ratio of MultiRes', kwargs.get('ratio', (3 / 4, 4 / 3)), above=0)
        check_whole('max_attempts of MultiRes', kwargs.get('max_attempts', 10))
        check_choice('backend of MultiRes', backend, BACKENDS)
        check_choice('interpolation of MultiRes', interpolation,
                     _ANTIALIASED_BY_TORCH if backend == 'torch' else cv2_interp_codes)
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
