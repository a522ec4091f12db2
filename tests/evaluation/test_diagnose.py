"""All figures together, each as its own function gives it."""

import numpy as np
import pytest

from clim_mm.evaluation import alignment, diagnose, intra_class_similarity, uniformity
from clim_mm.neighbors import STRATEGIES, cluster, search, select_positives
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh_health import purity


def features_of(labels, seed, dim=8):
    features = np.eye(dim)[labels] + 0.4 * np.random.default_rng(seed).normal(size=(len(labels), dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def test_each_figure_is_that_of_its_own_function():
    labels, test_labels = np.arange(240) % 4, np.arange(50) % 4
    embeddings, pooled = features_of(labels, 0), 3 * features_of(test_labels, 1)
    figures = diagnose(pooled, test_labels, embeddings, labels, NeighborSizes(15, 8), num_positives=4, seed=5)

    centroids, assignments = cluster(embeddings, 15, seed=5)
    neighbors = search(embeddings, 8)
    positives = {name: select_positives(embeddings, centroids, assignments, neighbors, 4, strategy=name, seed=5)
                 for name in STRATEGIES}
    assert figures['intra_class_similarity'] == intra_class_similarity(pooled, test_labels)
    assert figures['uniformity'] == uniformity(embeddings, seed=5)
    assert figures['alignment'] == pytest.approx(alignment(embeddings, positives['center_wise']))
    for name in STRATEGIES:
        assert figures[f'purity_{name}'] == purity(positives[name], labels)
    assert figures['num_clusters'] == 15 and 0 < figures['largest_cluster'] < 1
    assert not any(name.startswith('seconds') for name in figures)
