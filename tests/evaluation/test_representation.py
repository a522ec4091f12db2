"""Figures of features, by hand and by definition."""

import itertools

import numpy as np
import pytest

from clim_mm.errors import ConfigError
from clim_mm.evaluation import alignment, diagnose, intra_class_similarity, uniformity
from clim_mm.neighbors import STRATEGIES, cluster, search, select_positives
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.refresh_health import purity

ANGLES = np.deg2rad([0, 60, 90, 180])
ON_A_CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def random_features(number=50, dim=7):
    return np.random.default_rng(number).normal(size=(number, dim)).astype(np.float32)


def unit(features):
    features = features.astype(np.float64)
    return features / np.sqrt((features**2).sum(axis=1))[:, None]


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


def test_alignment_by_hand():
    # Squared chords: 0 to 60 degrees 1, 60 to 90 degrees 2 - sqrt 3, 180 to 0 degrees 4.
    positives = np.array([[1, -1], [2, -1], [-1, -1], [0, 0]])
    assert alignment(ON_A_CIRCLE * 3, positives) == pytest.approx((1 + 2 - np.sqrt(3) + 4 + 4) / 4)
    assert alignment(ON_A_CIRCLE, positives, power=1) == pytest.approx((1 + np.sqrt(2 - np.sqrt(3)) + 2 + 2) / 4)
    assert np.isnan(alignment(ON_A_CIRCLE, np.full((4, 2), -1)))


def test_uniformity_by_hand():
    # Squared chords of the six pairs of 0, 60, 90 and 180 degrees.
    squared = [1, 2, 4, 2 - np.sqrt(3), 3, 2]
    for t in (2.0, 0.5):
        assert uniformity(ON_A_CIRCLE, t) == pytest.approx(np.log(np.mean(np.exp(-t * np.array(squared)))))
    assert uniformity(np.ones((5, 3))) == pytest.approx(0)


def test_uniformity_over_several_blocks_and_of_a_sample():
    features = random_features(2500)
    rows = unit(features)
    distances = ((rows[:, None] - rows[None])**2).sum(axis=2)[np.triu_indices(2500, 1)]
    expected = np.log(np.exp(-2 * distances).mean())
    assert uniformity(features) == pytest.approx(expected, abs=1e-9)
    sampled = uniformity(features, most=1200)
    assert sampled != pytest.approx(expected, abs=1e-9) and sampled == pytest.approx(expected, abs=0.02)
    assert uniformity(features, most=1200) == sampled != uniformity(features, most=1200, seed=1)


@pytest.mark.parametrize('bad', [0.0, np.nan])
def test_features_without_a_direction(bad):
    features = random_features()
    features[3] = bad
    with pytest.raises(ValueError, match='no direction'):
        uniformity(features)


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
