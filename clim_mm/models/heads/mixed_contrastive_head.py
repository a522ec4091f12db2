"""The mixed contrastive loss (paper equations 1 and 4)."""

from typing import Optional

import torch
from mmengine.model import BaseModule

from clim_mm.checks import check_number
from clim_mm.registry import MODELS

from ..parts.nce import nce_terms


@MODELS.register_module()
class MixedContrastiveHead(BaseModule):
    """``L_mix = lam * NCE(q, k_anchor) + (1 - lam) * NCE(q, k_positive)``, averaged over queries and key resolutions.

    Args:
        temperature: tau, above 0. 0.2 [moco].
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_number('temperature of MixedContrastiveHead', temperature, above=0)
        self.temperature = temperature

    def forward(self, q: torch.Tensor, anchor_keys: list[torch.Tensor], positive_keys: list[torch.Tensor],
                queue: torch.Tensor, lam: torch.Tensor, own: Optional[torch.Tensor] = None) -> torch.Tensor:
        """The loss of one resolution's queries against the keys of every resolution.

        Args:
            q: (N, C) L2-normalised queries, of mixed images.
            anchor_keys, positive_keys: |R| times (N, C), L2-normalised; none of the positives' in MoCo.
            queue: (C, K) L2-normalised negative keys.
            lam: (N,) weight of the anchor, 0 to 1.
            own: (N, K) bool, keys that are no negatives of a query.

        Returns:
            Scalar, float32 (float64 for float64 queries), also under autocast.
        """
        nce = nce_terms(q, [*anchor_keys, *positive_keys], queue, self.temperature, own)  # |R| or 2|R| x N
        loss = lam * nce[:len(anchor_keys)].mean(dim=0)
        if positive_keys:
            loss = loss + (1 - lam) * nce[len(anchor_keys):].mean(dim=0)
        return loss.mean()
