"""The mixed contrastive loss (paper equations 1 and 4)."""

from typing import Optional

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from clim_mm.checks import check_number
from clim_mm.registry import MODELS

from ..parts.encoder import at_least_float32


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

        One product with the queue, which does not depend on the keys' resolution, and one with all keys. The queue is
        not copied, and what has its length is made once: the temperature divides the queries, not the logits.

        Args:
            q: (N, C) L2-normalised queries, of mixed images.
            anchor_keys, positive_keys: |R| times (N, C), L2-normalised; none of the positives' in MoCo.
            queue: (C, K) L2-normalised negative keys.
            lam: (N,) weight of the anchor, 0 to 1.
            own: (N, K) bool, keys that are no negatives of a query.

        Returns:
            Scalar, float32 (float64 for float64 queries), also under autocast.
        """
        with torch.autocast(q.device.type, enabled=False):
            q = at_least_float32(q) / self.temperature
            logits = q @ queue.to(q.dtype)  # N x K
            if own is not None:
                logits = logits.masked_fill(own, float('-inf'))
            negatives = torch.logsumexp(logits, dim=1)  # N
            keys = torch.stack([*anchor_keys, *positive_keys]).to(q.dtype)  # |R| or 2|R| x N x C
            nce = _nce((q * keys).sum(dim=2), negatives)  # |R| or 2|R| x N
            loss = lam * nce[:len(anchor_keys)].mean(dim=0)
            if positive_keys:
                loss = loss + (1 - lam) * nce[len(anchor_keys):].mean(dim=0)
            return loss.mean()


def _nce(positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Equation 1 by logits: ``-log(e^p / (e^p + sum e^n)) = softplus(log sum e^n - p)``, for (..., N) p."""
    return F.softplus(negatives - positives)
