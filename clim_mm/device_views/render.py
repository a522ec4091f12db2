"""From a batch of deferred views to the network's inputs."""

from collections.abc import Sequence
from itertools import chain
from typing import Optional

import torch
import torch.nn.functional as F

from .blur import blurred
from .color import jittered
from .deferred_view import RenderPlan
from .mixture import mixed


def rendered(views: Sequence[torch.Tensor], photometric: torch.Tensor, mixtures: Optional[torch.Tensor],
             plan: RenderPlan) -> list[torch.Tensor]:
    """Colour and blur each view, downsize it to its resolutions, and mix the queries.

    Runs where the tensors are, and asks nothing of them: a GPU need not be waited for.

    Args:
        views: V tensors (N, 3, r, r), uint8 or float32, BGR, 0 to 255, in the plan's order.
        photometric: (N, V, ROW) float32 of ``PhotometricDraws.as_row``.
        mixtures: (N, Q, 7) float32 of ``Mixture.as_row``, for each query at each of its resolutions; None if the plan
            says that nothing is mixed.
        plan: What the views are.

    Returns:
        Tensors (N, 3, r, r) float32, BGR, 0 to 255: queries, anchor keys and positive keys, each view at every
        resolution, in the order of ``PackPair``.
    """
    looks = [
        at_resolutions(_photometric(view.float(), photometric[:, place], plan.largest_sigma), resolutions)
        for place, (view, resolutions) in enumerate(zip(views, plan.resolutions, strict=True))
    ]
    queries = _flat(looks[:plan.num_queries])
    if not plan.mixed or mixtures is None:
        return queries + _flat(looks[plan.num_queries:])
    others, keys = _flat(looks[plan.num_queries:2 * plan.num_queries]), _flat(looks[2 * plan.num_queries:])
    of_both = [
        mixed(query, other, row) for query, other, row in zip(queries, others, mixtures.unbind(1), strict=True)
    ]
    return of_both + (queries if plan.unmixed_term else []) + keys


def at_resolutions(images: torch.Tensor, resolutions: Sequence[int]) -> list[torch.Tensor]:
    """(N, 3, r, r) for each resolution, bilinear and antialiased; the images' own is not resampled."""
    side = images.shape[-1]
    return [
        images if r == side else F.interpolate(images, (r, r), mode='bilinear', antialias=True) for r in resolutions
    ]


def _photometric(images: torch.Tensor, rows: torch.Tensor, largest_sigma: float) -> torch.Tensor:
    return blurred(jittered(images, rows), rows[:, -1], largest_sigma)


def _flat(looks: Sequence[list[torch.Tensor]]) -> list[torch.Tensor]:
    return list(chain.from_iterable(looks))
