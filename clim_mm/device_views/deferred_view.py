"""A view whose colours, blur and lower resolutions are still to come, and what a batch of them is to become."""

from dataclasses import dataclass, replace
from typing import Union

import numpy as np

from .draws import PhotometricDraws


@dataclass(frozen=True)
class DeferredView:
    """What a worker makes of a view.

    Attributes:
        image: (r, r, 3) uint8, BGR: the crop at the largest resolution, mirrored if so drawn.
        draws: What is to happen to it.
        resolutions: R, in the order of the network's inputs.
        largest_sigma: No blur that could have been drawn is wider, in pixels.
    """

    image: np.ndarray
    draws: PhotometricDraws
    resolutions: tuple[int, ...]
    largest_sigma: float = 0.0

    @classmethod
    def of(cls, view: Union['DeferredView', np.ndarray]) -> 'DeferredView':
        """The view itself, or one of a finished image, with which nothing happens."""
        if isinstance(view, DeferredView):
            return view
        return cls(view, PhotometricDraws(), (len(view), ))

    def painted(self, level: int) -> 'DeferredView':
        """A view of one grey level, 0 to 255, in its place."""
        return replace(self, image=np.full_like(self.image, level), draws=PhotometricDraws())


@dataclass(frozen=True)
class RenderPlan:
    """What the views of a sample are, the same for all samples of a training.

    Attributes:
        unmixed_term: Whether the unmixed queries are to follow the mixed ones.
        resolutions: Of each view, by its name.
        largest_sigma: Of any blur, in pixels.
    """

    unmixed_term: bool
    resolutions: dict[str, tuple[tuple[int, ...], ...]]
    largest_sigma: float
