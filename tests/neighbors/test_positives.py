"""The five strategies against a plain reading, row by row, of their definitions."""

import importlib
import math
from itertools import combinations

import numpy as np
import pytest

from clim_mm.neighbors import STRATEGIES, cluster, faiss_backend, search, select_positives
from clim_mm.neighbors.positives import REASONS, explain_positives, sample_without_replacement

# The attribute `select` of a package may be hidden by a function of that name; the module is meant.
select_module = importlib.import_module('clim_mm.neighbors.positives')

RANDOM_STRATEGIES = [name for name in STRATEGIES if name != 'knn']


class Case:
    """Features with their centres, assignments and neighbours, computed by brute force in float64."""

    def __init__(self, features, centroids, k):
        self.features = np.asarray(features, dtype=np.float32)
        self.centroids = np.asarray(centroids, dtype=np.float32)
        x, c = self.features.astype(np.float64), self.centroids.astype(np.float64)
        self.assignments = ((x[:, None] - c[None])**2).sum(axis=2).argmin(axis=1)
        between = ((x[:, None] - x[None])**2).sum(axis=2)
        np.fill_diagonal(between, np.inf)
        self.neighbors = np.argsort(between, axis=1, kind='stable')[:, :k]

    def select(self, *args, **kwargs):
        """Run the function under test."""
        return select_positives(self.features, self.centroids, self.assignments, self.neighbors, *args, **kwargs)

    def omega_1(self, i):
        """The other images of the anchor's cluster."""
        return {j for j in range(len(self.features)) if self.assignments[j] == self.assignments[i] and j != i}

    def omega_2(self, i):
        """The neighbours, nearest first."""
        return [j for j in self.neighbors[i].tolist() if j >= 0]

    def omega_p(self, i):
        """Those of both that are at most as far from the anchor's centre as the anchor."""
        center = self.centroids[self.assignments[i]].astype(np.float64)

        def squared_distance(j):
            return sum((float(a) - b)**2 for a, b in zip(self.features[j], center.tolist(), strict=True))

        return {j for j in self.omega_1(i) & set(self.omega_2(i)) if squared_distance(j) <= squared_distance(i)}


def random_case(k=12, num_samples=240):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(num_samples, 6))
    return Case(features, features[::30] + 0.1, k)


def duplicated_case(k=12):
    # Each row five times, and one row forty times, more than k.
    rng = np.random.default_rng(1)
    features = np.repeat(rng.normal(size=(48, 6)), 5, axis=0)
    features[80:120] = features[80]
    return Case(features[rng.permutation(240)], features[::35] * 0.9, k)


def tied_case(k=12):
    # Integers, and centres at halves: every squared distance is exact, and many are equal.
    x, y = np.meshgrid(np.arange(14), np.arange(14))
    centers_x, centers_y = np.meshgrid([2, 6.5, 11], [2, 6.5, 11])
    return Case(np.stack([x, y], axis=-1).reshape(-1, 2), np.stack([centers_x, centers_y], axis=-1).reshape(-1, 2), k)


def case_with_missing(k=12):
    case = random_case(k)
    lengths = np.random.default_rng(2).integers(0, k + 1, size=len(case.neighbors))
    lengths[:5] = 0
    case.neighbors[np.arange(k) >= lengths[:, None]] = -1
    return case


CASES = [random_case, duplicated_case, tied_case, case_with_missing]


def check_form(positives, num_samples, num_positives):
    """Assert what holds for every strategy, and give the rows without their -1."""
    assert positives.shape == (num_samples, num_positives) and positives.dtype == np.int32
    assert positives.min() >= -1 and positives.max() < num_samples
    there = positives >= 0
    assert (there[:, 1:] <= there[:, :-1]).all(), 'the -1 are at the end'
    rows = [row[row >= 0].tolist() for row in positives]
    assert all(len(set(row)) == len(row) for row in rows)
    assert all(i not in row for i, row in enumerate(rows))
    return rows


def check_center_wise(case, rows, num_positives):
    """Assert the definition, and tell whether some anchor had too many preferred, and some too few."""
    some_drawn = some_filled = False
    for i, row in enumerate(rows):
        near, preferred = case.omega_2(i), case.omega_p(i)
        if len(preferred) > num_positives:
            some_drawn = True
            assert len(row) == num_positives and set(row) <= preferred
        else:
            some_filled = True
            remaining = [j for j in near if j not in preferred]
            assert len(row) == min(num_positives, len(near))
            assert set(row) == preferred | set(remaining[:num_positives - len(preferred)])
    return some_drawn, some_filled


@pytest.mark.parametrize('num_positives', [1, 3, 10, 30])
@pytest.mark.parametrize('make', CASES)
def test_center_wise(make, num_positives):
    case = make()
    rows = check_form(case.select(num_positives), len(case.features), num_positives)
    check_center_wise(case, rows, num_positives)


@pytest.mark.parametrize('make', [random_case, tied_case, case_with_missing])
def test_the_cases_take_both_ways_of_center_wise(make):
    case = make()
    assert check_center_wise(case, check_form(case.select(3), len(case.features), 3), 3) == (True, True)


@pytest.mark.parametrize('num_positives', [1, 10, 30])
@pytest.mark.parametrize('make', CASES)
def test_knn_takes_the_nearest_in_order(make, num_positives):
    case = make()
    rows = check_form(case.select(num_positives, strategy='knn'), len(case.features), num_positives)
    assert rows == [case.omega_2(i)[:num_positives] for i in range(len(rows))]


@pytest.mark.parametrize('num_positives', [1, 10, 30])
@pytest.mark.parametrize('strategy', ['random', 'kmeans', 'knn_kmeans'])
@pytest.mark.parametrize('make', CASES)
def test_random_strategies_draw_from_their_set(make, strategy, num_positives):
    case = make()
    everything = set(range(len(case.features)))
    allowed = {
        'random': lambda i: everything - {i},
        'kmeans': case.omega_1,
        'knn_kmeans': lambda i: case.omega_1(i) & set(case.omega_2(i)),
    }[strategy]
    rows = check_form(case.select(num_positives, strategy=strategy), len(case.features), num_positives)
    for i, row in enumerate(rows):
        assert set(row) <= allowed(i)
        assert len(row) == min(num_positives, len(allowed(i)))


def test_by_hand():
    # One dimension, centres at 0 and 10. Anchor 1 (at 2): 0 and 2 are at most as far from its centre, 3 is not.
    features = np.array([[1.0], [2.0], [-2.0], [3.0], [9.0], [12.0]])
    assignments = np.array([0, 0, 0, 0, 1, 1])
    neighbors = np.array([[1, 3, 2], [0, 3, 2], [0, 1, 3], [1, 0, 2], [5, 3, 1], [4, 3, 1]])

    centroids = np.array([[0.0], [10.0]])

    def select(num_positives, strategy='center_wise'):
        positives = select_positives(features, centroids, assignments, neighbors, num_positives, strategy)
        return [sorted(row) for row in positives.tolist()]

    # Row 0 has no preferred neighbour, row 1 has two (2 ties with it), and row 4 none: 5 is farther out.
    rows = select(2)
    assert set(rows.pop(3)) < {0, 1, 2}  # all three are preferred, and two are drawn
    assert rows == [[1, 3], [0, 2], [0, 1], [3, 5], [3, 4]]
    assert select(1)[0] == [1] and select(1)[4] == [5] and select(1)[5] == [4]
    assert select(3) == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [1, 3, 5], [1, 3, 4]]
    assert select(2, 'knn') == [[1, 3], [0, 3], [0, 1], [0, 1], [3, 5], [3, 4]]
    assert select(3, 'knn_kmeans') == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [-1, -1, 5], [-1, -1, 4]]
    assert select(3, 'kmeans') == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [-1, -1, 5], [-1, -1, 4]]


def test_an_image_alone_in_its_cluster():
    case = random_case()
    case.assignments[:] = 0
    case.assignments[17] = 1
    for strategy in ('kmeans', 'knn_kmeans'):
        assert (case.select(5, strategy=strategy)[17] == -1).all()
    np.testing.assert_array_equal(np.sort(case.select(5)[17]), np.sort(case.neighbors[17, :5]))


@pytest.mark.parametrize('make', [random_case, duplicated_case])
@pytest.mark.parametrize('strategy', RANDOM_STRATEGIES)
def test_choices_are_uniform(make, strategy):
    case = make()
    num_draws, num_positives = 300, 2
    num_samples = len(case.features)
    frequency = np.zeros((num_samples, num_samples))
    anchors = np.arange(num_samples)[:, None]
    for seed in range(num_draws):
        positives = case.select(num_positives, strategy=strategy, seed=seed)
        ids, row = positives[positives >= 0], np.broadcast_to(anchors, positives.shape)[positives >= 0]
        frequency[row, ids] += 1
    allowed = {
        'random': lambda i: set(range(num_samples)) - {i},
        'kmeans': case.omega_1,
        'knn_kmeans': lambda i: case.omega_1(i) & set(case.omega_2(i)),
        'center_wise': case.omega_p,
    }[strategy]
    # Under uniform choice each anchor's scaled statistic follows chi-square with |allowed| - 1 degrees, nearly.
    statistics, degrees = [], []
    for i in range(num_samples):
        ids = sorted(allowed(i))
        if len(ids) <= num_positives:
            continue
        share = num_positives / len(ids)
        counts = frequency[i, ids]
        assert counts.sum() == num_draws * num_positives
        variance = num_draws * share * (1 - share) * len(ids) / (len(ids) - 1)
        statistics.append(((counts - num_draws * share)**2 / variance).sum())
        degrees.append(len(ids) - 1)
    statistics, degrees = np.array(statistics), np.array(degrees)
    assert len(statistics) > 20
    assert abs(statistics.sum() - degrees.sum()) < 5 * np.sqrt(2 * degrees.sum())
    assert (statistics < degrees + 6 * np.sqrt(2 * degrees) + 10).all()


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_same_seed_same_choice(strategy):
    case = random_case()
    first, again, other = (case.select(2, strategy=strategy, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == (strategy == 'knn')


@pytest.mark.parametrize('block', [1, 7, 239, 240, 241])
@pytest.mark.parametrize('make', [random_case, duplicated_case, case_with_missing])
def test_blocks_of_rows_change_nothing(monkeypatch, make, block):
    case = make()
    knn = case.select(10, strategy='knn')
    to_center = select_module.distance_to_center(case.features, case.centroids, case.assignments)
    monkeypatch.setattr(select_module, 'ROWS_PER_BLOCK', block)
    monkeypatch.setattr(faiss_backend, 'NUMBERS_PER_BLOCK', block * case.features.shape[1])
    np.testing.assert_array_equal(case.select(10, strategy='knn'), knn)
    np.testing.assert_array_equal(
        select_module.distance_to_center(case.features, case.centroids, case.assignments), to_center)
    check_center_wise(case, check_form(case.select(3), 240, 3), 3)


def test_distance_to_center_by_hand():
    features = np.array([[3.0, 4.0], [1.0, 1.0], [0.0, -2.0]], dtype=np.float32)
    centroids = np.array([[0.0, 0.0], [1.0, 2.0]], dtype=np.float32)
    found = select_module.distance_to_center(features, centroids, np.array([0, 1, 1]))
    np.testing.assert_array_equal(found, [25.0, 1.0, 17.0])
    assert found.dtype == np.float64


def test_large_sets():
    num_samples, k, num_positives = 200_000, 40, 10
    rng = np.random.default_rng(0)
    features = rng.normal(size=(num_samples, 4)).astype(np.float32)
    centroids = rng.normal(size=(50, 4)).astype(np.float32)
    assignments = np.arange(num_samples) // 4000
    # Near ids: most are of the anchor's cluster, all are distinct and none is the anchor.
    neighbors = (np.arange(num_samples)[:, None] + 1 + np.arange(k)) % num_samples
    positives = select_positives(features, centroids, assignments, neighbors, num_positives)

    assert positives.shape == (num_samples, num_positives) and positives.min() >= 0
    assert (np.diff(np.sort(positives, axis=1), axis=1) > 0).all()
    offset = (positives - np.arange(num_samples)[:, None]) % num_samples
    assert offset.min() >= 1 and offset.max() <= k
    difference = features.astype(np.float64) - centroids[assignments]
    to_center = np.einsum('nd,nd->n', difference, difference)

    def preferred(ids):
        return (assignments[ids] == assignments[:, None]) & (to_center[ids] <= to_center[:, None])

    np.testing.assert_array_equal(
        preferred(positives).sum(axis=1), np.minimum(preferred(neighbors).sum(axis=1), num_positives))


def test_an_unknown_strategy_is_an_error():
    with pytest.raises(ValueError, match="center_wise, not 'nearest'"):
        random_case().select(strategy='nearest')


@pytest.mark.parametrize('num_positives', [0, -2, 2.5, '2', True])
def test_no_positives_is_an_error(num_positives):
    with pytest.raises(ValueError, match=f'num_positives must be a whole number of at least 1, not {num_positives!r}'):
        random_case().select(num_positives)


def test_arrays_of_different_sets_are_an_error():
    case = random_case()
    parts = dict(features=case.features, assignments=case.assignments, neighbors=case.neighbors)
    for name, array in [('features', case.features[1:]), ('assignments', case.assignments[1:]),
                        ('neighbors', case.neighbors[1:])]:
        with pytest.raises(ValueError, match='rows of ids'):
            select_positives(centroids=case.centroids, **{**parts, name: array})


@pytest.mark.parametrize('name, wrong', [('neighbors', -2), ('neighbors', 10**6),
                                         ('assignments', -1), ('assignments', 10**6)])
def test_ids_of_no_image_or_centre_are_an_error(name, wrong):
    case = random_case()
    ids = getattr(case, name).astype(np.array(wrong).dtype)
    ids.flat[5] = wrong
    parts = dict(features=case.features, assignments=case.assignments, neighbors=case.neighbors)
    with pytest.raises(ValueError, match=f'{name} must be .* rows of ids from'):
        select_positives(centroids=case.centroids, **{**parts, name: ids})


def test_a_value_that_is_not_finite_is_an_error():
    case = random_case()
    case.features[33, 2] = np.nan
    with pytest.raises(ValueError, match='first in row 33'):
        case.select()


@pytest.mark.parametrize('size', [1, 3, 10])
def test_rows_hold_distinct_integers_below_their_count(size):
    counts = np.arange(200) % 25
    drawn = sample_without_replacement(counts, size, np.random.default_rng(0))
    assert drawn.shape == (200, size) and drawn.dtype == np.int64
    for count, row in zip(counts, drawn, strict=True):
        present = row[row >= 0]
        assert len(present) == min(size, count) == len(set(present.tolist()))
        assert (present < count).all() and (row >= -1).all()


@pytest.mark.parametrize('count', [0, 1, 2, 4, 5])
def test_a_count_within_the_size_gives_all_of_them(count):
    drawn = sample_without_replacement(np.full(50, count), 5, np.random.default_rng(0))
    expected = [-1] * (5 - count) + list(range(count))
    assert [sorted(row) for row in drawn.tolist()] == [expected] * 50


@pytest.mark.parametrize('count, size', [(5, 1), (5, 2), (6, 3), (7, 6)])
def test_every_subset_is_equally_likely(count, size):
    num_rows = 40000
    drawn = np.sort(sample_without_replacement(np.full(num_rows, count), size, np.random.default_rng(1)), axis=1)
    found, frequency = np.unique(drawn, axis=0, return_counts=True)
    subsets = list(combinations(range(count), size))
    assert [tuple(row) for row in found.tolist()] == subsets
    expected = num_rows / len(subsets)
    chi_square = ((frequency - expected)**2 / expected).sum()
    degrees = len(subsets) - 1
    assert chi_square < degrees + 5 * np.sqrt(2 * degrees)


def test_the_generator_decides():
    counts = np.full(100, 30)
    first, again, other = (sample_without_replacement(counts, 5, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_counts_far_above_the_size():
    drawn = sample_without_replacement(np.full(2000, 10**9), 10, np.random.default_rng(0))
    assert drawn.min() >= 0 and drawn.max() < 10**9
    assert abs(drawn.mean() / 10**9 - 0.5) < 5 * np.sqrt(1 / 12 / drawn.size)


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
    assert words(line([-1, -1, -1])) == ['unsure', 'unsure', 'farther', 'unsure', 'unsure', 'other_cluster', None]


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
