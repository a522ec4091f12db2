"""CutMix of an anchor's view with its positive's (paper equation 3; Yun et al., ICCV 2019)."""

from collections.abc import Sequence

import numpy as np

from clim_mm.checks import check_bool
from clim_mm.device_views import Mixture
from clim_mm.registry import TRANSFORMS

from .mixing import Mixing


@TRANSFORMS.register_module()
class CutMix(Mixing):
    """Paste a rectangle of the positive's view into the anchor's.

    ``x_mix = M * x_i + (1 - M) * x~_i``. The rectangle is the same in relative coordinates at every
    resolution, and ``lam`` is the share of anchor pixels that remain at each.

    Required and modified keys, ``per_batch`` and ``unmixed_term``: as for :class:`Mixing`.

    Args:
        alpha: Of ``lam ~ Beta(alpha, alpha)``, above 0. The paper's best is 2 (Table 9).
        same_place: Take the rectangle from the same place of the positive's view [csml; also Yun et al.]. False
            takes it from a place of its own, uniformly [the paper's "randomly selected patch"].
        **kwargs: ``per_batch``, ``unmixed_term``.

    Raises:
        ConfigError: If alpha is no number above 0, or a switch is none.
    """

    def __init__(self, alpha: float = 2.0, same_place: bool = True, **kwargs) -> None:
        super().__init__(alpha, **kwargs)
        check_bool('same_place of CutMix', same_place)
        self.same_place = same_place

    def draw(self, sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Mixture]:
        """Draw one rectangle for all."""
        rectangle = relative_rectangle(rng.beta(self.alpha, self.alpha), rng)
        elsewhere = None if self.same_place else rng.random(2)
        mixtures = []
        for height, width in sizes:
            box = pixel_box(rectangle, height, width)
            corner = box[:2] if elsewhere is None else moved(box, elsewhere, height, width)
            mixtures.append(Mixture(box, corner, lam=anchor_share(box, height, width)))
        return mixtures

    def mix(self, image: np.ndarray, other: np.ndarray, mixture: Mixture) -> np.ndarray:
        """Paste the rectangle, in place."""
        (top, left, bottom, right), (from_top, from_left) = mixture.box, mixture.corner
        image[top:bottom, left:right] = other[from_top:from_top + bottom - top, from_left:from_left + right - left]
        return image


def relative_rectangle(lam: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a rectangle of area ratio ``1 - lam`` with a uniform centre, and clip it to the image.

    Args:
        lam: Share of the image outside the rectangle, before clipping, 0 to 1.
        rng: Source of the centre.

    Returns:
        (4,) float64: top, left, bottom, right, as shares of the height and the width.
    """
    half_side = np.sqrt(1.0 - lam) / 2
    center = rng.random(2)
    return np.clip(np.concatenate([center - half_side, center + half_side]), 0.0, 1.0)


def pixel_box(rectangle: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Round a relative rectangle to whole pixels of an image.

    Returns:
        Top, left, bottom, right; bottom and right are exclusive.
    """
    top, left, bottom, right = np.rint(np.asarray(rectangle) * [height, width, height, width]).astype(int).tolist()
    return top, left, bottom, right


def moved(box: Sequence[int], place: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Top and left of a box of the same size at another place.

    Args:
        box: Top, left, bottom, right.
        place: (2,) float64, 0 to 1: the share of the room above and to the left of the box that is taken.
        height, width: Of the image.
    """
    top, left, bottom, right = box
    room = np.array([height - (bottom - top), width - (right - left)])
    new_top, new_left = np.rint(place * room).astype(int).tolist()
    return new_top, new_left


def anchor_share(box: Sequence[int], height: int, width: int) -> float:
    """The ``lam`` of a box: the exact share of the image's pixels outside it."""
    top, left, bottom, right = box
    return 1.0 - (bottom - top) * (right - left) / (height * width)
