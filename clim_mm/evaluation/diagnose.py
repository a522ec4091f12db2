"""All that can be said of frozen features without training on them."""

import numpy as np

from clim_mm.neighbors import STRATEGIES
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh import refresh

from .representation import alignment, intra_class_similarity, uniformity


def diagnose(pooled: np.ndarray,
             labels: np.ndarray,
             embeddings: np.ndarray,
             train_labels: np.ndarray,
             sizes: NeighborSizes,
             num_positives: int = 10,
             strategy: str = 'center_wise',
             seed: int = 0,
             progress: bool = False) -> dict[str, float]:
    """Similarity within classes of held-out images, and what a refresh on the training images would find.

    Args:
        pooled: (M, D) float, of the held-out images.
        labels: (M,) int.
        embeddings: (N, d) float32, of the training images, L2-normalised.
        train_labels: (N,) int.
        sizes, num_positives, strategy, seed, progress: As in :func:`clim_mm.neighbors.refresh.refresh`.

    Returns:
        ``intra_class_similarity``; ``alignment`` of the positives and ``uniformity`` of the embeddings;
        ``purity_<strategy>`` for all strategies; ``share_without_positive``, ``num_clusters``, ``empty_clusters``,
        ``cluster_balance`` and ``largest_cluster``.

    Raises:
        ConfigError: If no class has two held-out images.
    """
    figures = dict(intra_class_similarity=intra_class_similarity(pooled, labels))
    found = refresh(embeddings, sizes, num_positives, strategy, seed=seed, labels=train_labels, compare=STRATEGIES,
                    progress=progress)
    figures['alignment'] = alignment(embeddings, found.positives)
    figures['uniformity'] = uniformity(embeddings, seed=seed)
    figures.update((name, value) for name, value in found.report.items() if not name.startswith('seconds_'))
    return figures
