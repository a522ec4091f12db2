"""MixUp of an anchor's view with its positive's (paper Table 10; Zhang et al., ICLR 2018)."""

from collections.abc import Sequence

import numpy as np

from clim_mm.device_views import Mixture
from clim_mm.registry import TRANSFORMS

from .mixing import Mixing


@TRANSFORMS.register_module()
class MixUp(Mixing):
    """Blend the positive's view into the anchor's, the rival of :class:`CutMix`.

    ``x_mix = lam * x_i + (1 - lam) * x~_i`` at each pixel, with the same ``lam`` at every resolution. The mixture
    is rounded to uint8, so that each value is off by half a grey level at most; ``lam`` is told as it was drawn.

    Required and modified keys, ``per_batch`` and ``unmixed_term``: as for :class:`Mixing`.

    Args:
        alpha: Of ``lam ~ Beta(alpha, alpha)``, above 0. The paper's best is 0.2 (Table 10).
        **kwargs: ``per_batch``, ``unmixed_term``.

    Raises:
        ConfigError: If alpha is no number above 0, or a switch is none.
    """

    def __init__(self, alpha: float = 0.2, **kwargs) -> None:
        super().__init__(alpha, **kwargs)

    def draw(self, sizes: Sequence[tuple[int, int]], rng: np.random.Generator) -> list[Mixture]:
        """Draw one ``lam`` for all."""
        lam = float(rng.beta(self.alpha, self.alpha))
        return [Mixture((0, 0, height, width), share=lam, lam=lam) for height, width in sizes]

    def mix(self, image: np.ndarray, other: np.ndarray, mixture: Mixture) -> np.ndarray:
        """Blend the two."""
        return blend(image, other, mixture.share)


def blend(image: np.ndarray, other: np.ndarray, lam: float) -> np.ndarray:
    """``lam * image + (1 - lam) * other``, rounded to the nearest whole number (halves to the even one).

    Args:
        image, other: uint8 arrays of one shape.
        lam: Share of the first, 0 to 1.

    Returns:
        uint8 array of that shape.
    """
    return np.rint(lam * image + (1.0 - lam) * other).astype(np.uint8)
