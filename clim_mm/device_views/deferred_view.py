"""What a worker sends of a view that the device finishes: the crop, and what was drawn for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional, Union

import numpy as np

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # as mmselfsup's and torchvision's ColorJitter number them
BLENDS = 3  # brightness, contrast and saturation: at most so many before the hue, and after it
ROW = 2 * BLENDS * 3 + 3
"""Numbers in a row: six blends of three, then hue, gray and sigma."""

_NO_BLEND = (1.0, 0.0, 0.0)
_TOWARD = {BRIGHTNESS: (0.0, 0.0), CONTRAST: (0.0, 1.0), SATURATION: (1.0, 0.0)}  # the pixel's gray, the mean gray


@dataclass(frozen=True)
class PhotometricDraws:
    """Colour jitter, gray and blur of a view, applied in this order.

    Attributes:
        jitter: Operations by number and their factors, in the order drawn; each operation at most once.
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
        """(ROW,) float32: six blends (factor, share of the pixel's gray, share of the mean gray), hue, gray, sigma.

        Three blends before the hue and three after it hold every order, so that the costly hue comes once.
        """
        place = next((place for place, (number, _) in enumerate(self.jitter) if number == HUE), len(self.jitter))
        blends = [*_blends(self.jitter[:place]), *_blends(self.jitter[place + 1:])]
        shift = self.jitter[place][1] if place < len(self.jitter) else 0.0
        return np.array([*np.ravel(blends), shift, self.gray, self.sigma], dtype=np.float32)


def _blends(steps: Sequence[tuple[int, float]]) -> list[tuple[float, float, float]]:
    taken = [(factor, *_TOWARD[number]) for number, factor in steps]
    return taken + [_NO_BLEND] * (BLENDS - len(taken))


@dataclass(frozen=True)
class Mixture:
    """How an anchor's image is mixed with its positive's: CutMix, MixUp, or not at all.

    Attributes:
        box: Top, left, bottom, right in pixels, the last two exclusive: where the positive comes in.
        corner: Top and left, in the positive's image, of what comes there.
        share: Of the anchor in each pixel of the box: 0 for CutMix.
        lam: Of the anchor in the whole, 0 to 1: the weight of its key in the loss.
    """

    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    corner: tuple[int, int] = (0, 0)
    share: float = 0.0
    lam: float = 1.0

    def as_row(self) -> np.ndarray:
        """(7,) float32: box, corner, share."""
        return np.array([*self.box, *self.corner, self.share], dtype=np.float32)


@dataclass(frozen=True)
class DeferredView:
    """View whose colours, blur and lower resolutions are left to the device.

    Attributes:
        image: (r, r, 3) uint8, BGR: the crop at the largest resolution, mirrored if so drawn.
        resolutions: R, in the order of the network's inputs.
        largest_sigma: Upper bound of the blurs that could have been drawn, in pixels.
    """

    image: np.ndarray
    draws: PhotometricDraws
    resolutions: tuple[int, ...]
    largest_sigma: float = 0.0

    @classmethod
    def of(cls, view: Union['DeferredView', np.ndarray]) -> 'DeferredView':
        """The view itself; or that of a finished image, to which nothing is done."""
        if isinstance(view, DeferredView):
            return view
        return cls(view, PhotometricDraws(), (len(view), ))

    def painted(self, level: int) -> 'DeferredView':
        """A view of one grey level, 0 to 255, in its place."""
        return replace(self, image=np.full_like(self.image, level), draws=PhotometricDraws())


@dataclass(frozen=True)
class RenderPlan:
    """How the views of a sample are rendered, the same for all samples of a training.

    Attributes:
        unmixed_term: Whether the unmixed queries are to follow the mixed ones.
        resolutions: Of each view, by its name.
    """

    unmixed_term: bool
    resolutions: dict[str, tuple[tuple[int, ...], ...]]
    largest_sigma: float
