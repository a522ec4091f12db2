"""Contrast of the clusters of a batch: soft assignments of two views, and the loss of them [CC]."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule

from clim_mm.checks import check_number, check_whole
from clim_mm.registry import MODELS

from ..parts.encoder import at_least_float32

_EPSILON = 1e-8  # the least length of a column, that of an empty cluster, and the least probability in a logarithm


@MODELS.register_module()
class ClusterContrastHead(BaseModule):
    """Soft assignments to K clusters by a small network, and their loss ``L_con + w * entropy part`` [CC].

    Args:
        in_channels: d, the dimension of the pooled features.
        num_clusters: K.
        num_layers: 2: Linear d -> d, ReLU, Linear d -> K [CC]. 1: Linear d -> K [IIC].
        tau_c: Temperature of the contrast, above 0. 1.0 [CC].
        entropy_weight: w, 0 or more. 1.0 [CC].
    """

    def __init__(self, in_channels: int, num_clusters: int, num_layers: int = 2, tau_c: float = 1.0,
                 entropy_weight: float = 1.0) -> None:
        super().__init__()
        check_whole('in_channels of ClusterContrastHead', in_channels, least=1)
        check_whole('num_clusters of ClusterContrastHead', num_clusters, least=2)
        check_whole('num_layers of ClusterContrastHead', num_layers, least=1)
        check_number('tau_c of ClusterContrastHead', tau_c, above=0)
        check_number('entropy_weight of ClusterContrastHead', entropy_weight, least=0)
        hidden = [layer for _ in range(num_layers - 1)
                  for layer in (nn.Linear(in_channels, in_channels), nn.ReLU(inplace=True))]
        self.layers = nn.Sequential(*hidden, nn.Linear(in_channels, num_clusters))
        self.num_clusters = num_clusters
        self.tau_c = tau_c
        self.entropy_weight = entropy_weight

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """(N, K) soft assignments of (N, d) pooled features, float32 or better also under autocast."""
        logits = self.layers(pooled)
        with torch.autocast(logits.device.type, enabled=False):
            return at_least_float32(logits).softmax(dim=1)

    def loss(self, assignments_a: torch.Tensor, assignments_b: torch.Tensor) -> torch.Tensor:
        """The loss of the (N, K) assignments of two views, of the batches of all processes: a scalar."""
        contrast = cluster_contrast(assignments_a, assignments_b, self.tau_c)
        return contrast + self.entropy_weight * (imbalance(assignments_a) + imbalance(assignments_b))


def cluster_contrast(assignments_a: torch.Tensor, assignments_b: torch.Tensor, tau_c: float) -> torch.Tensor:
    """``L_con`` of (N, K) assignments: each of the 2K columns finds that of its cluster in the other view [CC].

    Its negatives are all columns of other clusters, in both views. An empty column has the cosine 0 with all.
    """
    columns = F.normalize(torch.cat([assignments_a, assignments_b], dim=1), dim=0, eps=_EPSILON)  # N x 2K
    similarities = columns.T @ columns / tau_c  # 2K x 2K
    both = len(similarities)
    own = torch.eye(both, dtype=torch.bool, device=columns.device)
    positive = torch.arange(both, device=columns.device).roll(both // 2)
    return F.cross_entropy(similarities.masked_fill(own, float('-inf')), positive)


def imbalance(assignments: torch.Tensor) -> torch.Tensor:
    """``log K - H(p)`` of the mean p of (N, K) assignments: 0 if clusters are equally large, log K if one has all."""
    p = assignments.mean(dim=0)
    return math.log(len(p)) + (p * p.clamp_min(_EPSILON).log()).sum()
