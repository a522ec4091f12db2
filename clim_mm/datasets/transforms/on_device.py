"""Which transforms of a view can be left to the device."""

from collections.abc import Iterable, Iterator
from typing import Any

from mmcv.transforms import RandomApply

from clim_mm.errors import ConfigError

from .photometric import ColorJitter, RandomFlip, RandomGaussianBlur, RandomGrayscale

_ORDER = (ColorJitter, RandomGrayscale, RandomGaussianBlur)
_WORDS = ('clim_mm\'s ColorJitter, RandomGrayscale and RandomGaussianBlur in this order, each at most once, and '
          'RandomFlip')


def largest_sigma(transforms: Iterable) -> float:
    """The widest blur that they can draw, in pixels; 0 if there is none.

    Args:
        transforms: Of a view, built; also within RandomApply.

    Raises:
        ConfigError: If they are others than the device has, or in another order than it does them.
    """
    found = [transform for transform in _leaves(transforms) if not isinstance(transform, RandomFlip)]
    for transform in found:
        if not isinstance(transform, _ORDER):
            raise ConfigError(f'MultiRes with on_device=True cannot leave {_name(transform)} to the device, which does '
                              f'{_WORDS}: take it out of transforms, or leave out on_device.')
    places = [next(place for place, kind in enumerate(_ORDER) if isinstance(transform, kind)) for transform in found]
    if places != sorted(set(places)):
        raise ConfigError(f'MultiRes with on_device=True does {_WORDS}, not {", ".join(map(_name, found))}: put '
                          'transforms in that order, or leave out on_device.')
    return max((float(transform.sigma_max) for transform in found if isinstance(transform, RandomGaussianBlur)),
               default=0.0)


def _leaves(transforms: Iterable) -> Iterator[Any]:
    for transform in transforms:
        if isinstance(transform, RandomApply):
            yield from _leaves(transform)
        else:
            yield transform


def _name(transform: Any) -> str:
    return getattr(transform, '__name__', type(transform).__name__)
