"""What CutMix and MixUp have in common: when to mix, from which draws, and what is told of it."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from clim_mm.checks import check_bool, check_number
from clim_mm.device_views import DeferredView, Mixture


class Mixing(BaseTransform):
    """Mix an anchor's views with its positive's, and tell the anchor's share ``lam`` of each.

    A sample without a positive stays as it is: its ``lam`` is 1.0.

    Required keys: ``views`` of :class:`PairViews`, of which ``positive_query`` is used up; ``lam``; ``positive_idx``;
    ``rng``, or ``batch_rng`` with ``per_batch``.

    Modified keys: ``views``: ``query``; ``lam``, a float for each image of ``query``.

    Queries that are deferred to the device (:class:`MultiRes` with ``on_device``) stay as they are: they must be
    coloured before they are mixed. What was drawn follows them, as ``mixtures``, one for each query at each of its
    resolutions, and ``unmixed_term``.

    Args:
        alpha: Of ``lam ~ Beta(alpha, alpha)``, above 0.
        per_batch: Draw once for a batch of one process [csml: once for a GPU's batch], not for each sample [ours].
        unmixed_term: Let the unmixed anchor's views follow as further queries, with ``lam = 1``. The loss, a mean
            over the queries, becomes ``(L_mix + NCE(f_q(x_i), f_k(x_i))) / 2``: one more forward and backward for
            each image [ours, the plainest reading; csml averages three terms: the mixed one and one each of the
            unmixed anchor and the unmixed positive, pulled to both keys in equal parts after its first epochs].

    Raises:
        ConfigError: If alpha is no number above 0, or a switch is none.
    """

    def __init__(self, alpha: float, per_batch: bool = False, unmixed_term: bool = False) -> None:
        name = type(self).__name__
        check_number(f'alpha of {name}', alpha, above=0)
        check_bool(f'per_batch of {name}', per_batch)
        check_bool(f'unmixed_term of {name}', unmixed_term)
        self.alpha = alpha
        self.per_batch = per_batch
        self.unmixed_term = unmixed_term

    def transform(self, results: dict) -> dict:
        """Mix ``query`` and set ``lam``."""
        views = dict(results['views'])
        query = views['query']
        if any(isinstance(view, DeferredView) for view in query):
            return self._deferred(results)
        unmixed = [image.copy() for image in query] if self.unmixed_term else []
        lam, others = results['lam'], views.pop('positive_query')
        if results['positive_idx'] >= 0:
            mixtures = self.draw([image.shape[:2] for image in query], self._rng(results))
            query = [self.mix(*pair) for pair in zip(query, others, mixtures, strict=True)]
            lam = [mixture.lam for mixture in mixtures]
        return dict(results, views=dict(views, query=query + unmixed), lam=lam + [1.0] * len(unmixed))

    def _deferred(self, results: dict) -> dict:
        sizes = [(r, r) for view in results['views']['query'] for r in DeferredView.of(view).resolutions]
        mixtures = [Mixture()] * len(sizes)
        if results['positive_idx'] >= 0:
            mixtures = self.draw(sizes, self._rng(results))
        lam = [mixture.lam for mixture in mixtures] + [1.0] * (len(sizes) if self.unmixed_term else 0)
        return dict(results, mixtures=mixtures, unmixed_term=self.unmixed_term, lam=lam)

    def _rng(self, results: dict) -> np.random.Generator:
        return results['batch_rng' if self.per_batch else 'rng']

    @abstractmethod
    def draw(self, sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Mixture]:
        """Draw how the images of a sample are mixed.

        Args:
            sizes: Height and width of each.
            rng: Of all draws.
        """

    @abstractmethod
    def mix(self, image: np.ndarray, other: np.ndarray, mixture: Mixture) -> np.ndarray:
        """Mix an image of the anchor with that of the positive which has its shape.

        Args:
            image: The anchor's, (H, W, 3) uint8. It may be written to.
            other: The positive's, which stays as it is.
            mixture: As drawn.
        """

    def __repr__(self) -> str:
        options = ', '.join(f'{name}={value}' for name, value in vars(self).items())
        return f'{type(self).__name__}({options})'
