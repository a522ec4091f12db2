"""CutMix of an anchor's view with its positive's (paper equation 3; Yun et al., ICCV 2019)."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from clim_mm.checks import check_bool, check_number
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CutMix(BaseTransform):
    """Paste a rectangle of the positive's view into the anchor's.

    ``x_mix = M * x_i + (1 - M) * x~_i``. The rectangle is the same in relative coordinates at every
    resolution, and ``lam`` is the share of anchor pixels that remain at each. A sample without a positive
    stays as it is. One rectangle and one ``lam`` are drawn for each sample [ours; csml: for each batch].

    Required keys: ``query``, ``positive_query``: lists of (r, r, 3) uint8; ``positive_idx``; ``rng``.

    Modified keys: ``query``; ``lam``, a list of floats, one for each resolution.

    Args:
        alpha: Of ``lam ~ Beta(alpha, alpha)``, above 0. The paper's best is 2 (Table 9).
        same_place: Take the rectangle from the same place of the positive's view [csml; also Yun et al.]. False
            takes it from a place of its own, uniformly [the paper's "randomly selected patch"].

    Raises:
        ConfigError: If alpha is no number above 0, or same_place no switch.
    """

    def __init__(self, alpha: float = 2.0, same_place: bool = True) -> None:
        check_number('alpha of CutMix', alpha, above=0)
        check_bool('same_place of CutMix', same_place)
        self.alpha = alpha
        self.same_place = same_place

    def transform(self, results: dict) -> dict:
        """Mix ``query`` and set ``lam``."""
        if results['positive_idx'] < 0:
            return results
        rng = results['rng']
        rectangle = relative_rectangle(rng.beta(self.alpha, self.alpha), rng)
        elsewhere = None if self.same_place else rng.random(2)
        results['lam'] = []
        for image, patch in zip(results['query'], results['positive_query'], strict=True):
            height, width = image.shape[:2]
            box = pixel_box(rectangle, height, width)
            top, left, bottom, right = box
            from_top, from_left = (top, left) if elsewhere is None else moved(box, elsewhere, height, width)
            image[top:bottom, left:right] = patch[from_top:from_top + bottom - top, from_left:from_left + right - left]
            results['lam'].append(anchor_share(box, height, width))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(alpha={self.alpha}, same_place={self.same_place})'


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
