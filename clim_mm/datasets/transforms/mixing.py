"""Mixing an anchor's views with its positive's: CutMix and MixUp."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from clim_mm.checks import check_bool, check_number
from clim_mm.registry import TRANSFORMS

from ..device_views import DeferredView, Mixture


class Mixing(BaseTransform):
    """Base of :class:`CutMix` and :class:`MixUp`. A sample without a positive stays as it is: its ``lam`` is 1.0.

    Mixes ``query`` of the ``views`` of :class:`PairViews` with ``positive_query``, and sets ``lam``,
    the anchor's share, a float for each image of ``query``. Queries that are deferred to the device (:class:`MultiRes`
    with ``on_device``) stay as they are; what was drawn follows them as ``mixtures``, one for each query at each of its
    resolutions, and ``unmixed_term``.

    Args:
        alpha: Of ``lam ~ Beta(alpha, alpha)``, above 0.
        per_batch: Draw once for a batch of one process [csml: once for a GPU's batch], not for each sample [ours].
        unmixed_term: Let the unmixed anchor's views follow as further queries, with ``lam = 1``. The loss, a mean
            over the queries, becomes ``(L_mix + NCE(f_q(x_i), f_k(x_i))) / 2`` [ours, the plainest reading; csml has
            a third term, of the unmixed positive].
    """

    def __init__(self, alpha: float, per_batch: bool = False, unmixed_term: bool = False) -> None:
        check_number(f'alpha of {type(self).__name__}', alpha, above=0)
        check_bool(f'per_batch of {type(self).__name__}', per_batch)
        check_bool(f'unmixed_term of {type(self).__name__}', unmixed_term)
        self.alpha = alpha
        self.per_batch = per_batch
        self.unmixed_term = unmixed_term

    def transform(self, results: dict) -> dict:
        """Mix ``query`` and set ``lam``."""
        views = dict(results['views'])
        query = views['query']
        is_deferred = any(isinstance(view, DeferredView) for view in query)
        sizes = ([(r, r) for view in query for r in DeferredView.of(view).resolutions] if is_deferred else
                 [image.shape[:2] for image in query])
        mixtures, has_positive = [Mixture()] * len(sizes), results['positive_idx'] >= 0
        if has_positive:
            mixtures = self.draw(sizes, results['batch_rng' if self.per_batch else 'rng'])
        lam = [mixture.lam for mixture in mixtures] + [1.0] * (len(sizes) if self.unmixed_term else 0)
        if is_deferred:
            return dict(results, mixtures=mixtures, unmixed_term=self.unmixed_term, lam=lam)
        kept = results.get('unmixed', ())
        unmixed = [image.copy() for image in query] if self.unmixed_term or 'anchor' in kept else []
        others = views['positive_query']
        if 'positive' not in kept:
            del views['positive_query']
        if 'anchor' in kept:
            views['anchor_query'] = unmixed
        if has_positive:
            for image, other, mixture in zip(query, others, mixtures, strict=True):
                mix(image, other, mixture)
        return dict(results, views=dict(views, query=query + unmixed if self.unmixed_term else query), lam=lam)

    @abstractmethod
    def draw(self, sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Mixture]:
        """Draw how images of these heights and widths are mixed."""


def mix(image: np.ndarray, other: np.ndarray, mixture: Mixture) -> None:
    """Mix an anchor's (H, W, 3) uint8 image, in place, with the positive's of the same shape."""
    (top, left, bottom, right), (from_top, from_left) = mixture.box, mixture.corner
    inside = image[top:bottom, left:right]
    patch = other[from_top:from_top + bottom - top, from_left:from_left + right - left]
    inside[:] = blend(inside, patch, mixture.share) if mixture.share else patch


def blend(image: np.ndarray, other: np.ndarray, lam: float) -> np.ndarray:
    """``lam * image + (1 - lam) * other`` in uint8, rounded to the nearest whole number, halves to the even one."""
    return np.rint(lam * image + (1.0 - lam) * other).astype(np.uint8)


@TRANSFORMS.register_module()
class CutMix(Mixing):
    """Paste a rectangle of the positive's view into the anchor's (paper equation 3; Yun et al., ICCV 2019).

    ``x_mix = M * x_i + (1 - M) * x~_i``. The rectangle is the same in relative coordinates at every
    resolution, and ``lam`` is the share of anchor pixels that remain at each.

    Args:
        alpha: Of ``lam ~ Beta(alpha, alpha)``, above 0. The paper's best is 2 (Table 9).
        same_place: Take the rectangle from the same place of the positive's view [csml; also Yun et al.]. False
            takes it from a place of its own, uniformly [the paper's "randomly selected patch"].
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


def relative_rectangle(lam: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a rectangle of area ratio ``1 - lam`` with a uniform centre, clipped to the image.

    Gives (4,) float64: top, left, bottom, right, as shares of the height and the width.
    """
    half_side = np.sqrt(1.0 - lam) / 2
    center = rng.random(2)
    return np.clip(np.concatenate([center - half_side, center + half_side]), 0.0, 1.0)


def pixel_box(rectangle: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Round a relative rectangle to whole pixels: top, left, bottom, right, the last two exclusive."""
    top, left, bottom, right = np.rint(np.asarray(rectangle) * [height, width, height, width]).astype(int).tolist()
    return top, left, bottom, right


def moved(box: Sequence[int], place: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Top and left of a box of the same size; ``place`` is the share, 0 to 1, of the room above and left of it."""
    top, left, bottom, right = box
    room = np.array([height - (bottom - top), width - (right - left)])
    return tuple(np.rint(place * room).astype(int).tolist())


def anchor_share(box: Sequence[int], height: int, width: int) -> float:
    """The ``lam`` of a box: the exact share of the image's pixels outside it."""
    top, left, bottom, right = box
    return 1.0 - (bottom - top) * (right - left) / (height * width)


@TRANSFORMS.register_module()
class MixUp(Mixing):
    """Blend the positive's view into the anchor's (paper Table 10; Zhang et al., ICLR 2018).

    ``x_mix = lam * x_i + (1 - lam) * x~_i`` at each pixel, with the same ``lam`` at every resolution. The mixture
    is rounded to uint8; ``lam`` is as it was drawn. The paper's best ``alpha`` is 0.2 (Table 10).
    """

    def __init__(self, alpha: float = 0.2, **kwargs) -> None:
        super().__init__(alpha, **kwargs)

    def draw(self, sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Mixture]:
        """Draw one ``lam`` for all."""
        lam = float(rng.beta(self.alpha, self.alpha))
        return [Mixture((0, 0, height, width), share=lam, lam=lam) for height, width in sizes]
