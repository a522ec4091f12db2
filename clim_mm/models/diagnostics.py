"""What a training step tells about its health, beside the loss."""

from collections.abc import Sequence

import torch

from clim_mm.errors import some_of


@torch.no_grad()
def diagnose(q: torch.Tensor, anchor_keys: torch.Tensor, positive_keys: torch.Tensor, queue: torch.Tensor,
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


def not_finite(features: Sequence[torch.Tensor], ids: Sequence[int]) -> str:
    """A sentence on a loss that is not finite.

    Args:
        features: Any number of (N, C), queries and keys of the batch.
        ids: N sample ids.
    """
    broken = ~torch.stack([torch.isfinite(x).all(dim=1) for x in features]).all(dim=0)
    guilty = [i for i, is_broken in zip(ids, broken.tolist(), strict=True) if is_broken] or list(ids)
    return (f'The loss is not finite (samples {some_of(guilty)}): this step enters neither the queue nor a checkpoint. '
            'Resume from the last checkpoint with a lower learning rate, or without mixed precision.')
