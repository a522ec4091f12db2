"""The contrastive loss of queries with several weighted positives."""

from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.model import BaseModule

from clim_mm.checks import check_choice, check_number
from clim_mm.registry import MODELS

from ..parts.nce import nce_terms


@MODELS.register_module()
class MultiPositiveHead(BaseModule):
    """``L_multi = sum_c a_c * NCE(q, c)`` over the keys c of a query, averaged over the queries.

    Args:
        temperature: tau, above 0. 0.2 [csml].
        denominator: What stands in it: ``own``, a key beside the queue alone [csml], or ``all``, all keys of the query
            that have a weight [SupCon: L_out, with MoCo's queue as negatives].
    """

    def __init__(self, temperature: float = 0.2, denominator: str = 'own') -> None:
        super().__init__()
        check_number('temperature of MultiPositiveHead', temperature, above=0)
        check_choice('denominator of MultiPositiveHead', denominator, ('own', 'all'))
        self.temperature = temperature
        self.denominator = denominator

    def forward(self, q: torch.Tensor, keys: Sequence[torch.Tensor], weights: torch.Tensor, queue: torch.Tensor,
                own: Optional[torch.Tensor] = None) -> torch.Tensor:
        """The loss of one view's queries.

        Args:
            q: (N, C) L2-normalised queries.
            keys: P times (N, C), L2-normalised.
            weights: (P, N), from 0 up; they add up to 1 for each query.
            queue: (C, K) L2-normalised negative keys.
            own: (N, K) bool, keys that are no negatives of a query.

        Returns:
            Scalar, float32 (float64 for float64 queries), also under autocast.
        """
        counted = weights if self.denominator == 'all' else None
        return (weights * nce_terms(q, keys, queue, self.temperature, own, counted)).sum(dim=0).mean()
