"""The InfoNCE loss within a batch."""

import math

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule

from clim_mm.registry import MODELS


@MODELS.register_module()
class InBatchHead(BaseModule):
    """Each feature finds its other view among all of the batch."""

    def __init__(self, temperature=0.2):
        super().__init__()
        self.temperature = temperature

    def forward(self, a, b):
        """The loss of (N, C) features of two views, and the same divided by that at chance."""
        both = torch.cat([a, b])
        own = torch.eye(len(both), dtype=torch.bool, device=both.device)
        logits = (both @ both.T / self.temperature).masked_fill(own, float('-inf'))
        loss = F.cross_entropy(logits, torch.arange(len(both), device=both.device).roll(len(a)))
        return loss, loss.detach() / math.log(len(both) - 1)
