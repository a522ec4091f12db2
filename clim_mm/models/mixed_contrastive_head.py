"""The mixed contrastive loss (paper equations 1 and 4)."""

from typing import Optional

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from clim_mm.checks import check_number
from clim_mm.registry import MODELS


@MODELS.register_module()
class MixedContrastiveHead(BaseModule):
    """``L_mix = lam * NCE(q, k_anchor) + (1 - lam) * NCE(q, k_positive)``, averaged over queries and key resolutions.

    Args:
        temperature: tau, above 0. 0.2 [moco].

    Raises:
        ConfigError: If tau is not above 0.
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_number('temperature of MixedContrastiveHead', temperature, above=0)
        self.temperature = temperature

    def forward(self, q: torch.Tensor, anchor_keys: list[torch.Tensor], positive_keys: list[torch.Tensor],
                queue: torch.Tensor, lam: torch.Tensor, own: Optional[torch.Tensor] = None) -> torch.Tensor:
        """The loss of one resolution's queries against the keys of every resolution.

        The products with the queue do not depend on the keys' resolution, and are made once.

        Args:
            q: (N, C) L2-normalised queries, of mixed images.
            anchor_keys: |R| times (N, C), L2-normalised.
            positive_keys: |R| times (N, C), L2-normalised; empty if there are no positives (MoCo).
            queue: (C, K) L2-normalised negative keys.
            lam: (N,) weight of the anchor, 0 to 1.
            own: (N, K) bool, keys that are no negatives of a query. None for none.

        Returns:
            Scalar, float32 (float64 for float64 queries), also under autocast.
        """
        with torch.autocast(q.device.type, enabled=False):
            q = at_least_float32(q)
            logits = q @ queue.to(q.dtype) / self.temperature  # N x K
            if own is not None:
                logits = logits.masked_fill(own, float('-inf'))
            negatives = torch.logsumexp(logits, dim=1)  # N

            def mean_nce(keys):
                return torch.stack([self._nce(q, k, negatives) for k in keys]).mean(dim=0)  # N

            loss = lam * mean_nce(anchor_keys)
            if positive_keys:
                loss = loss + (1 - lam) * mean_nce(positive_keys)
            return loss.mean()

    def _nce(self, q: torch.Tensor, k: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
        """Equation 1 for each query, (N,): ``-log(e^p / (e^p + sum e^n)) = softplus(log sum e^n - p)``."""
        positive = (q * k.to(q.dtype)).sum(dim=1) / self.temperature
        return F.softplus(negatives - positive)


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """``x``, with half precision raised to float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
