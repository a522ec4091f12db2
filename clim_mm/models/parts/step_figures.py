"""Figures of a contrastive training step: its health, and what a non-finite loss comes from."""

from collections.abc import Sequence

import torch

from clim_mm.errors import some_of


@torch.no_grad()
def step_figures(q: torch.Tensor, anchor_keys: torch.Tensor, positive_keys: torch.Tensor, queue: torch.Tensor,
             lam: torch.Tensor) -> dict[str, torch.Tensor]:
    """Figures of one step, at one resolution.

    Args:
        q: (N, C) L2-normalised queries.
        anchor_keys: (N, C), L2-normalised.
        positive_keys: (N, C), L2-normalised.
        queue: (C, K), L2-normalised.
        lam: (N,) weight of the anchor.

    Returns:
        Scalars. ``positive_similarity``: mean cosine of a query and its keys, weighted by lam.
        ``negative_similarity``: mean cosine of the queries and the queue. ``feature_std``: standard deviation of
        the queries over the batch, averaged over the dimensions, times sqrt(C): 1 if they are spread evenly over
        the sphere, 0 if they are all the same; NaN for one query [ours].
    """
    keys = lam[:, None] * anchor_keys + (1 - lam[:, None]) * positive_keys
    return dict(
        positive_similarity=(q * keys).sum(dim=1).mean(),
        negative_similarity=q.mean(dim=0) @ queue.to(q.dtype).mean(dim=1),  # the mean of all N x K products
        feature_std=q.std(dim=0).mean() * q.shape[1]**0.5)


def non_finite(parts: Sequence[Sequence[torch.Tensor]], ids: Sequence[int]) -> str:
    """A sentence on a loss that is not finite.

    Args:
        parts: What led to it, in order, such as pixels and then features: any number of (N, ...) each. The first part
            that is not finite tells the samples; batch statistics then carry it over to others.
        ids: N sample ids.
    """
    guilty = next(filter(None, (_broken(part, ids) for part in parts)), list(ids))
    return (f'The loss is not finite (samples {some_of(guilty)}): this step enters neither the queue nor a checkpoint. '
            'Start from the last checkpoint\'s weights, by load_from without --resume, with a lower learning rate or '
            'without mixed precision.')


def _broken(part: Sequence[torch.Tensor], ids: Sequence[int]) -> list[int]:
    sound = torch.stack([torch.isfinite(x).flatten(1).all(dim=1) for x in part]).all(dim=0)
    return [i for i, is_sound in zip(ids, sound.tolist(), strict=True) if not is_sound]
