"""Figures of the clusters of a step, and whether a training learns, by their means over an interval."""

import math
from collections.abc import Mapping, Sequence
from typing import Optional

import torch

from clim_mm.health import COLLAPSING, NOT_LEARNING, Health, HealthRules

from .bootstrap_health import FIGURES, Fault, bootstrap_fault, bootstrap_shown, nothing_kept, verdict

# The thresholds are [ours]. Measured with a slim ResNet-18 on the digits, heads of 10 and 20 clusters: sound runs, and
# runs that a learning rate of 10 or 0, or no entropy, spoilt; that of no entropy is not called bad.
ALL_IN_ONE = 0.9  # of the images of a batch. Measured: 1.0 after a collapse, after 70 steps at most 0.51 in sound runs
FLAT = 1.3  # times 1 / K, the mean of the largest probability. Measured: up to 1.3 untrained, soon 1.4 or more if sound


@torch.no_grad()
def assignment_figures(assignments: torch.Tensor) -> dict[str, torch.Tensor]:
    """Figures of the (N, K) soft assignments of a head.

    Returns:
        Scalars. ``largest_cluster``: the share of the images whose likeliest cluster is the commonest.
        ``empty_clusters``: the share of the clusters that are no image's likeliest. ``cluster_entropy``: the entropy of
        the mean assignment divided by log K, 1 if the clusters are equally large. ``cluster_confidence``: the mean of
        the largest probability, 1/K if assignments are uniform and 1 if they are one-hot. NaN for no image.
    """
    K = assignments.shape[1]
    p = assignments.mean(dim=0)
    likeliest = assignments.argmax(dim=1, keepdim=True)
    shares = (likeliest == torch.arange(K, device=p.device)).float().mean(dim=0)  # bincount would wait for a GPU
    return dict(
        largest_cluster=shares.max(),
        empty_clusters=(shares == 0).float().mean(),
        cluster_entropy=torch.special.entr(p).sum() / math.log(K),
        cluster_confidence=assignments.max(dim=1).values.mean())


def cluster_rules(num_clusters: Sequence[int]) -> HealthRules:
    """The rules of a model whose heads have so many clusters."""
    names = ('largest_cluster', 'empty_clusters', 'cluster_entropy', 'cluster_confidence')  # of assignment_figures

    def judge(figures: Mapping[str, float], early: bool = False, positives_due: bool = True,
              best: Optional[Mapping[str, float]] = None) -> Health:
        faults = [bootstrap_fault(figures), *(_fault(figures, K) for K in num_clusters)]
        shown = [*bootstrap_shown(figures), *(text for K in num_clusters for text in _shown(figures, K))]
        return verdict(next(filter(None, faults), None), ', '.join(shown), early)

    return HealthRules((*FIGURES, *(f'{name}_head_{K}' for K in num_clusters for name in names)), judge, nothing_kept)


def _fault(figures: Mapping[str, float], K: int) -> Optional[Fault]:
    """What is wrong with a head of K clusters; figures that are missing or NaN tell nothing."""
    if figures.get(f'largest_cluster_head_{K}', math.nan) > max(ALL_IN_ONE, 2 / K):
        return (COLLAPSING, 'one cluster', f'the head of {K} clusters puts nearly all images into one',
                'raise entropy_weight of model.cluster_head, or lower the learning rate')
    if figures.get(f'cluster_confidence_head_{K}', math.nan) < FLAT / K:
        return (NOT_LEARNING, 'uniform', f'the head of {K} clusters gives every cluster the same probability',
                'look at the learning rate, or lower tau_c of model.cluster_head')
    return None


def _shown(figures: Mapping[str, float], K: int) -> list[str]:
    """The figures of a head of K clusters, in words."""
    words = dict(
        largest_cluster='largest {:.0%}', empty_clusters='empty {:.0%}', cluster_entropy='entropy {:.2f} of log K',
        cluster_confidence='confidence {:.2f}')
    there = [text.format(figures[f'{name}_head_{K}']) for name, text in words.items()
             if math.isfinite(figures.get(f'{name}_head_{K}', math.nan))]
    return [f'{K} clusters: {", ".join(there)}'] if there else []
