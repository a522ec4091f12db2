"""A CLIM with cluster heads: the smallest model that both embeds and assigns clusters."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F

from clim_mm.models import CLIM
from clim_mm.registry import MODELS


@MODELS.register_module()
class ClusteredCLIM(CLIM):
    """Linear heads, of so many clusters each, on the pooled output of the backbone."""

    def __init__(self, channels, num_clusters, **kwargs):
        super().__init__(**kwargs)
        self.num_clusters = tuple(num_clusters)
        self.cluster_heads = torch.nn.ModuleList(torch.nn.Linear(channels, number) for number in num_clusters)

    @torch.no_grad()
    def assign_batch(self, batch, amp=False, channels_last=False):
        """(N, sum of num_clusters) soft assignments of the first view."""
        inputs, _ = self.data_preprocessor(batch)
        with torch.autocast(inputs[0].device.type, torch.bfloat16) if amp else nullcontext():
            pooled = F.adaptive_avg_pool2d(self.backbone(inputs[0])[-1], 1).flatten(1)
            return torch.cat([head(pooled).float().softmax(dim=1) for head in self.cluster_heads], dim=1)
