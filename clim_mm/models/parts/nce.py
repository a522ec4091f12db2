"""The contrastive loss of queries for several keys each: the primitive of the heads."""

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F

from .encoder import at_least_float32


def nce_terms(q: torch.Tensor, keys: Sequence[torch.Tensor], queue: torch.Tensor, temperature: float,
              own: Optional[torch.Tensor] = None, weights: Optional[torch.Tensor] = None) -> torch.Tensor:
    """The loss of each query for each of its P keys: ``-log(e^p / (e^p + sum e^n)) = softplus(log sum e^n - p)``.

    One product with the queue, whose log-sum-exp does not depend on the keys, and one with all keys. The queue is not
    copied, and what has its length is made once: the temperature divides the queries, not the logits.

    Args:
        q: (N, C) L2-normalised queries.
        keys: P times (N, C), L2-normalised.
        queue: (C, K) L2-normalised negative keys.
        temperature: tau, above 0.
        own: (N, K) bool, keys that are no negatives of a query.
        weights: (P, N), from 0 up. If given, all keys of a query whose weight is above 0 stand in the denominator of
            each [SupCon]; without, a key stands beside the queue alone [moco].

    Returns:
        (P, N), float32 (float64 for float64 queries), also under autocast.
    """
    with torch.autocast(q.device.type, enabled=False):
        q = at_least_float32(q) / temperature
        logits = q @ queue.to(q.dtype)  # N x K
        if own is not None:
            logits = logits.masked_fill(own, float('-inf'))
        negatives = torch.logsumexp(logits, dim=1)  # N
        positives = (q * torch.stack([*keys]).to(q.dtype)).sum(dim=2)  # P x N
        if weights is None:
            return F.softplus(negatives - positives)
        counted = positives.masked_fill(weights <= 0, float('-inf'))
        return torch.logsumexp(torch.cat([negatives[None], counted]), dim=0) - positives
