"""What is said of candidates, against the definitions applied one by one, and against a hand-made case."""

import math

import numpy as np
import pytest

from clim_mm.neighbors import STRATEGIES, cluster, search, select_positives
from clim_mm.neighbors.positive_reasons import REASONS, explain_positives

# On a line, centre of cluster 0 at 0, of cluster 1 at 10. The anchor is image 0, at 2.
LINE = np.array([[2.0], [1.0], [3.0], [-2.0], [9.0], [2.0], [0.5]], dtype=np.float32)
CENTERS = np.array([[0.0], [10.0]], dtype=np.float32)
CLUSTERS = np.array([0, 0, 0, 0, 1, 0, 0])
CANDIDATES = np.array([[5, 1, 2, 6, 3, 4, -1]])


def line(positives, strategy='center_wise'):
    return explain_positives(LINE, CENTERS, CLUSTERS, np.array([0]), CANDIDATES, np.array([positives]), strategy)


def words(explanation):
    return [REASONS[code] if code >= 0 else None for code in explanation.reasons[0].tolist()]


def test_a_case_by_hand():
    told = line([5, 1, 2])
    np.testing.assert_array_equal(told.to_anchor, [[0, 1, 1, 1.5, 4, 7, np.nan]])
    np.testing.assert_array_equal(told.to_center, [[2, 1, 3, 0.5, 2, 9, np.nan]])
    np.testing.assert_array_equal(told.anchor_to_center, [2])
    # 5 is a duplicate of the anchor and 3 lies on the other side: both exactly as far from the centre, so admitted.
    assert words(told) == ['kept', 'kept', 'filled', 'not_drawn', 'not_drawn', 'other_cluster', None]
    assert words(line([5, 4, -1])) == ['kept', 'not_drawn', 'farther', 'not_drawn', 'not_drawn', 'filled', None]


@pytest.mark.parametrize('strategy, expected', [
    ('knn_kmeans', ['kept', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', 'other_cluster', None]),
    ('kmeans', ['kept', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', 'other_cluster', None]),
    ('knn', ['kept', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', None]),
    ('random', ['kept', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', None]),
])
def test_other_strategies_ask_for_less(strategy, expected):
    assert words(line([5, -1], strategy)) == expected


def found(strategy, num_positives=4):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(150, 5)).astype(np.float32)
    features[40:60] = features[40]  # duplicates, which must tie
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    centroids, assignments = cluster(features, 7, seed=1)
    neighbors = search(features, 12)
    positives = select_positives(features, centroids, assignments, neighbors, num_positives, strategy, seed=3)
    return features, centroids, assignments, neighbors, positives


def one_by_one(features, centroids, assignments, anchor, candidate, chosen, strategy):
    x, c = features.astype(np.float64), centroids.astype(np.float64)[assignments[anchor]]
    mine, other = math.dist(x[anchor], c), math.dist(x[candidate], c)
    if strategy in ('kmeans', 'knn_kmeans', 'center_wise') and assignments[candidate] != assignments[anchor]:
        reason = 'other_cluster'
    elif strategy == 'center_wise' and other > mine:
        reason = 'farther'
    else:
        reason = 'kept' if chosen else 'not_drawn'
    return math.dist(x[anchor], x[candidate]), other, 'filled' if chosen and reason != 'kept' else reason


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_agrees_with_the_definitions_one_by_one(strategy):
    features, centroids, assignments, neighbors, positives = found(strategy)
    anchors = np.array([0, 3, 9, 21, 45, 59, 77, 100, 123, 149])
    seen = set()
    for candidates in (neighbors[anchors], positives[anchors].astype(np.int64)):
        told = explain_positives(features, centroids, assignments, anchors, candidates, positives[anchors], strategy)
        for row, anchor in enumerate(anchors):
            for place, candidate in enumerate(candidates[row]):
                to_anchor, to_center, reason = one_by_one(
                    features, centroids, assignments, anchor, candidate, candidate in positives[anchor], strategy)
                assert told.to_anchor[row, place] == pytest.approx(to_anchor, abs=1e-12)
                assert told.to_center[row, place] == pytest.approx(to_center, abs=1e-12)
                assert REASONS[told.reasons[row, place]] == reason
                seen.add(reason)
    assert seen >= dict(
        center_wise={'kept', 'filled', 'farther', 'other_cluster'}, knn_kmeans={'kept', 'other_cluster'}).get(
            strategy, {'kept'})


def test_the_reasons_are_those_of_the_choice_itself():
    # For every image: Omega_p is what is kept or not drawn; with fewer than P of them, the nearest others fill up.
    features, centroids, assignments, neighbors, positives = found('center_wise')
    told = explain_positives(features, centroids, assignments, np.arange(150), neighbors, positives)
    for reasons, row, chosen in zip(told.reasons, neighbors, positives, strict=True):
        said = [REASONS[code] for code in reasons]
        admitted = said.count('kept') + said.count('not_drawn')
        assert said.count('kept') == min(admitted, 4) and said.count('kept') + said.count('filled') == 4
        others = [word for word in said if word not in ('kept', 'not_drawn')]
        assert others == sorted(others, key=lambda word: word != 'filled'), 'the nearest ones fill up'
        assert {j for j, word in zip(row, said, strict=True) if word in ('kept', 'filled')} == set(chosen.tolist())


def test_unreadable_images_have_nothing_said_of_them():
    features = LINE.copy()
    features[4] = np.nan
    clusters = np.where(np.arange(7) == 4, -1, CLUSTERS)
    told = explain_positives(
        features, CENTERS, clusters, np.array([4, 0]), np.array([[-1, -1], [1, -1]]), np.array([[-1], [1]]))
    assert told.reasons.tolist() == [[-1, -1], [0, -1]]
    assert np.isnan(told.anchor_to_center[0]) and told.anchor_to_center[1] == 2
    np.testing.assert_array_equal(np.isnan(told.to_anchor), [[True, True], [False, True]])


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match='strategy must be one of random, .*, not .nearest.'):
        line([1], 'nearest')
