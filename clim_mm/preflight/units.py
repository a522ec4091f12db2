"""Numbers as a person reads them."""

from typing import Optional

_SECONDS = [(86400, 'd'), (3600, 'h'), (60, 'min'), (1, 's')]
_BYTES = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']


def duration(seconds: Optional[float]) -> str:
    """As in ``3.2 h``, in the largest unit of which there is at least one and a half; ``unknown`` for None."""
    if seconds is None:
        return 'unknown'
    if seconds < 1:
        return f'{_short(1000 * seconds)} ms'
    size, unit = next(((size, unit) for size, unit in _SECONDS if seconds >= 1.5 * size), _SECONDS[-1])
    return f'{_short(seconds / size)} {unit}'


def amount(number: Optional[float]) -> str:
    """Bytes, as in ``1.2 GiB``; ``unknown`` for None."""
    if number is None:
        return 'unknown'
    power = 0
    while number >= 1000 and power < len(_BYTES) - 1:
        number /= 1024
        power += 1
    return f'{_short(number)} {_BYTES[power]}'


def counted(number: int, noun: str, plural: str = '') -> str:
    """As in ``1 image`` and ``1,442 images``."""
    return f'{number:,} {noun if number == 1 else plural or noun + "s"}'


def _short(number: float) -> str:
    return f'{number:.0f}' if number >= 99.5 else f'{number:.2g}'
