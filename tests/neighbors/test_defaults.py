"""How many clusters, neighbours, positives and queue keys a set of N images gets."""

import pytest

from clim_mm.errors import ConfigError
from clim_mm.neighbors.defaults import (
    NeighborSizes,
    default_num_neighbors,
    default_num_positives,
    default_queue_len,
    is_exact,
    is_small,
    neighbor_sizes,
)


@pytest.mark.parametrize('num_samples, num_clusters, num_neighbors', [
    (1_281_167, 10000, 40),
    (160_000, 10000, 40),
    (159_999, 9999, 40),
    (4000, 250, 40),
    (3999, 249, 39),
    (1797, 112, 17),
    (600, 37, 6),
    (500, 31, 5),
    (100, 6, 5),
    (31, 1, 5),
    (6, 1, 5),
    (5, 1, 4),
    (3, 1, 2),
    (2, 1, 1),
])
def test_sizes_derived_from_the_set(num_samples, num_clusters, num_neighbors):
    assert neighbor_sizes(num_samples) == NeighborSizes(num_clusters, num_neighbors)


def test_given_sizes_are_taken_and_the_other_is_derived():
    assert neighbor_sizes(1797, num_clusters=14, num_neighbors=3) == NeighborSizes(14, 3)
    assert neighbor_sizes(1797, num_clusters=14) == NeighborSizes(14, 17)
    assert neighbor_sizes(1797, num_neighbors=40) == NeighborSizes(112, 40)
    assert neighbor_sizes(20, num_clusters=20, num_neighbors=19) == NeighborSizes(20, 19)


@pytest.mark.parametrize('num_samples', [0, 1])
def test_a_set_without_another_image_is_an_error(num_samples):
    with pytest.raises(ConfigError, match=rf'has {num_samples} image\(s\).*at least 2'):
        neighbor_sizes(num_samples)


@pytest.mark.parametrize('num_clusters', [0, -1, 101])
def test_clusters_that_do_not_fit_are_an_error_with_a_remedy(num_clusters):
    with pytest.raises(ConfigError, match=f'num_clusters={num_clusters} .* 100 images: .* from 1 to 100, .* 6 here'):
        neighbor_sizes(100, num_clusters=num_clusters)


@pytest.mark.parametrize('num_neighbors', [0, -1, 100])
def test_neighbors_that_do_not_fit_are_an_error_with_a_remedy(num_neighbors):
    with pytest.raises(ConfigError, match=f'num_neighbors={num_neighbors} .* 100 images: .* from 1 to 99, .* 5 here'):
        neighbor_sizes(100, num_neighbors=num_neighbors)


@pytest.mark.parametrize('num_samples, num_neighbors, num_positives', [
    (1_281_167, 40, 10),
    (4000, 40, 10),
    (1797, 17, 10),
    (1100, 11, 10),
    (1000, 10, 10),
    (999, 9, 9),
    (600, 6, 6),
    (6, 5, 5),
    (5, 4, 4),
    (2, 1, 1),
])
def test_neighbours_and_positives_derived_from_the_set(num_samples, num_neighbors, num_positives):
    assert default_num_neighbors(num_samples) == num_neighbors == neighbor_sizes(num_samples).num_neighbors
    assert default_num_positives(num_samples) == num_positives


def test_there_is_always_a_place_for_a_positive():
    assert [default_num_positives(num_samples) for num_samples in (0, 1)] == [1, 1]


@pytest.mark.parametrize('num_samples, keys_per_step, queue_len', [
    (1_281_167, 512, 65_536),
    (524_288, 512, 65_536),
    (524_287, 512, 65_535),
    (100_000, 256, 12_500),
    (1442, 32, 180),
    (1442, 512, 512),  # never below the keys of one step
    (1_281_167, 70_000, 70_000),
    (7, 1, 1),
    (4096, 512, 512),
])
def test_the_queue_derived_from_the_set(num_samples, keys_per_step, queue_len):
    assert default_queue_len(num_samples, keys_per_step) == queue_len


@pytest.mark.parametrize('num_samples, small', [(2, True), (524_287, True), (524_288, False), (1_281_167, False)])
def test_a_set_is_small_if_the_papers_queue_is_too_long_for_it(num_samples, small):
    assert is_small(num_samples) is small


@pytest.mark.parametrize('num_samples, exact', [(2, True), (100_000, True), (100_001, False), (1_281_167, False)])
def test_large_sets_are_searched_by_lists(num_samples, exact):
    assert is_exact(None, num_samples) is exact
