"""From a batch of deferred views to the network's inputs."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Optional

import torch
import torch.nn.functional as F

from .blur import blurred
from .color import jittered
from .deferred_view import RenderPlan
from .mixture import mixed


def rendered(views: Mapping[str, Sequence[torch.Tensor]], photometric: Mapping[str, torch.Tensor],
             mixtures: Optional[torch.Tensor], plan: RenderPlan) -> dict[str, list[torch.Tensor]]:
    """Colour and blur each view, downsize it to its resolutions, and mix the queries.

    Runs where the tensors are, and asks nothing of them: a GPU need not be waited for.

    Args:
        views: By name V tensors (N, 3, r, r), uint8 or float32, BGR, 0 to 255.
        photometric: By name (N, V, ROW) float32 of ``PhotometricDraws.as_row``.
        mixtures: (N, Q, 7) float32 of ``Mixture.as_row``, for each query at each of its resolutions: ``query`` is mixed
            with ``positive_query``. None if nothing is mixed.
        plan: What the views are.

    Returns:
        By name the tensors (N, 3, r, r) float32, BGR, 0 to 255, that ``PackPair`` gives of finished views.
    """
    looks = {
        name: list(chain.from_iterable(
            at_resolutions(_photometric(image.float(), photometric[name][:, place], plan.largest_sigma), resolutions)
            for place, (image, resolutions) in enumerate(zip(images, plan.resolutions[name], strict=True))))
        for name, images in views.items()
    }
    if mixtures is not None:
        pairs = zip(looks['query'], looks.pop('positive_query'), mixtures.unbind(1), strict=True)
        of_both = [mixed(query, other, row) for query, other, row in pairs]
        looks['query'] = of_both + (looks['query'] if plan.unmixed_term else [])
    return looks


def at_resolutions(images: torch.Tensor, resolutions: Sequence[int]) -> list[torch.Tensor]:
    """(N, 3, r, r) for each resolution, bilinear and antialiased; the images' own is not resampled."""
    side = images.shape[-1]
    return [
        images if r == side else F.interpolate(images, (r, r), mode='bilinear', antialias=True) for r in resolutions
    ]


def _photometric(images: torch.Tensor, rows: torch.Tensor, largest_sigma: float) -> torch.Tensor:
    return blurred(jittered(images, rows), rows[:, -1], largest_sigma)
