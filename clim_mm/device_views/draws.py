"""What was drawn for the colours and the blur of a view, and its form as a row of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # as mmselfsup's and torchvision's ColorJitter number them

BLENDS = 3  # brightness, contrast and saturation: at most so many before the hue, and after it
ROW = 2 * BLENDS * 3 + 3
"""Numbers in a row: six blends of three, then hue, gray and sigma."""

_NO_BLEND = (1.0, 0.0, 0.0)
_TOWARD = {BRIGHTNESS: (0.0, 0.0), CONTRAST: (0.0, 1.0), SATURATION: (1.0, 0.0)}  # the pixel's gray, the mean gray


@dataclass(frozen=True)
class PhotometricDraws:
    """What is to happen to a view, in this order: colour jitter, gray, blur.

    Attributes:
        jitter: Operations by number and their factors, in the order drawn; each operation at most once.
        gray: Whether it turns gray.
        sigma: Of the Gaussian blur, in pixels; 0 for none.
    """

    jitter: tuple[tuple[int, float], ...] = ()
    gray: bool = False
    sigma: float = 0.0

    def with_jitter(self, factors: Sequence[Optional[float]], order: Sequence[int]) -> 'PhotometricDraws':
        """Add the draws of a ColorJitter: a factor by number, None for none, and the order of the numbers."""
        jitter = tuple((int(number), float(factor)) for number in order if (factor := factors[number]) is not None)
        return replace(self, jitter=jitter)

    def as_row(self) -> np.ndarray:
        """The draws as numbers.

        Brightness, contrast and saturation are blends, so that three steps before the hue and three after it hold
        every order, and the costly hue comes once.

        Returns:
            (ROW,) float32: for each of six blends the factor and the shares of the pixel's gray and of the mean gray
            in what is blended towards; then the shift of the hue in turns; 1 for gray; sigma.
        """
        place = next((place for place, (number, _) in enumerate(self.jitter) if number == HUE), len(self.jitter))
        blends = [*_blends(self.jitter[:place]), *_blends(self.jitter[place + 1:])]
        shift = self.jitter[place][1] if place < len(self.jitter) else 0.0
        return np.array([*np.ravel(blends), shift, self.gray, self.sigma], dtype=np.float32)


def _blends(steps: Sequence[tuple[int, float]]) -> list[tuple[float, float, float]]:
    taken = [(factor, *_TOWARD[number]) for number, factor in steps]
    return taken + [_NO_BLEND] * (BLENDS - len(taken))
