"""Figures of features, by hand and by definition."""

import itertools

import numpy as np
import pytest
from plain_features import ON_A_CIRCLE, random_features, unit

from clim_mm.errors import ConfigError
from clim_mm.evaluation import diagnose, intra_class_similarity
from clim_mm.neighbors import STRATEGIES, cluster, search, select_positives
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.feature_quality import alignment, rank_me, uniformity
from clim_mm.neighbors.refresh_health import purity


def test_intra_class_similarity_over_all_pairs():
    features, labels = random_features(), np.random.default_rng(1).integers(0, 6, 50)
    rows, by_class = unit(features), []
    for label in range(6):
        members = np.flatnonzero(labels == label)
        by_class.append(np.mean([rows[i] @ rows[j] for i, j in itertools.combinations(members, 2)]))
    assert intra_class_similarity(features, labels) == pytest.approx(np.mean(by_class), abs=1e-12)


def test_intra_class_similarity_by_hand():
    # 0 and 60 degrees: cosine 1/2; 90 and 180: 0. The class of one image has no pair.
    points = np.concatenate([ON_A_CIRCLE * [[1], [5], [2], [3]], [[1, 1]]])
    assert intra_class_similarity(points, np.array([3, 3, 8, 8, 9])) == pytest.approx(0.25)
    with pytest.raises(ConfigError, match='No class has two images'):
        intra_class_similarity(ON_A_CIRCLE, np.arange(4))


@pytest.mark.parametrize('bad', [0.0, np.nan])
def test_features_without_a_direction(bad):
    features = random_features()
    features[3] = bad
    with pytest.raises(ValueError, match='no direction'):
        intra_class_similarity(features, np.zeros(50))


def features_of(labels, seed, dim=8):
    features = np.eye(dim)[labels] + 0.4 * np.random.default_rng(seed).normal(size=(len(labels), dim))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def test_each_figure_is_that_of_its_own_function():
    labels = np.arange(240) % 4
    embeddings = features_of(labels, 0)
    figures = diagnose(embeddings, NeighborSizes(15, 8), num_positives=4, seed=5, labels=labels)

    centroids, assignments = cluster(embeddings, 15, seed=5)
    neighbors = search(embeddings, 8)
    positives = {name: select_positives(embeddings, centroids, assignments, neighbors, 4, strategy=name, seed=5)
                 for name in STRATEGIES}
    assert figures['uniformity'] == uniformity(embeddings) and figures['rank_me'] == rank_me(embeddings)
    assert figures['alignment'] == pytest.approx(alignment(embeddings, positives['center_wise']))
    for name in STRATEGIES:
        assert figures[f'purity_{name}'] == purity(positives[name], labels)
    assert figures['num_clusters'] == 15 and 0 < figures['largest_cluster'] < 1
    assert not any(name.startswith('seconds') for name in figures)
    unlabelled = diagnose(embeddings, NeighborSizes(15, 8), num_positives=4, seed=5)
    assert unlabelled == {name: value for name, value in figures.items() if not name.startswith('purity')}
