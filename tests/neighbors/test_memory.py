"""The memory that searching and choosing take is what they tell: no copy of the features more, and none less."""

import numpy as np
import pytest
from gloo import on_processes
from measured_memory import peak_bytes_of

from clim_mm.neighbors import STRATEGIES, search, search_lists, select_positives
from clim_mm.neighbors.lists import lists_bytes
from clim_mm.neighbors.search import index_bytes, search_bytes
from clim_mm.neighbors.search_lists import search_lists_bytes
from clim_mm.neighbors.select import select_bytes

pytestmark = pytest.mark.e2e  # each in a process of its own

MIB = 2**20


def vectors(num, dim):
    return np.random.default_rng(0).random((num, dim), dtype=np.float32)


def peak_of_search(num, dim, k):
    search(vectors(200, dim), k)
    features = vectors(num, dim)
    return peak_bytes_of(lambda: search(features, k))


def peak_of_search_lists(num, dim, k, num_clusters, memory):
    def run(features):
        search_lists(features, k, features[:num_clusters], nprobe=1, least_recall=0.0, num_queries=20, memory=memory)

    run(vectors(200, dim))
    features = vectors(num, dim)
    return peak_bytes_of(lambda: run(features))


def peaks_of_select(num, dim, k, num_positives):
    def run(features, strategy):
        assignments, neighbors = arguments[len(features)]
        select_positives(features, features[:50], assignments, neighbors, num_positives, strategy)

    rng, arguments, peaks = np.random.default_rng(0), {}, []
    for size in (100, num):
        arguments[size] = rng.integers(0, 50, size), rng.integers(0, size, (size, k), dtype=np.int32)
    features = vectors(num, dim)
    for strategy in STRATEGIES:
        run(features[:100], strategy)
        peaks.append(peak_bytes_of(lambda strategy=strategy: run(features, strategy)))
    return peaks


def peak_or_skip(function, *args):
    """What ``function`` gives in a process of its own."""
    found, = on_processes(1, function, *args, init=False)
    if found is None or found == [None] * len(STRATEGIES):
        pytest.skip('this system does not tell the memory that is taken')
    return found


def test_search():
    num, dim, k = 300, 2**15, 5  # 37 MiB of features
    told = search_bytes(num, dim, k)
    assert told - 4 * MIB < peak_or_skip(peak_of_search, num, dim, k) < told + 6 * MIB  # faiss's own blocks


def test_search_lists():
    num, dim, k, num_clusters, memory = 5_000, 1024, 10, 100, 2**23  # 20 MiB of features
    told = search_lists_bytes(num, dim, k, num_clusters, memory=memory, num_queries=20)
    found = peak_or_skip(peak_of_search_lists, num, dim, k, num_clusters, memory)
    assert told - memory < found < told + 4 * MIB


def test_what_lists_and_a_search_tell_by_hand():
    assert index_bytes(1000, 16) == 64_000
    assert search_bytes(1000, 16, 5) == 64_000 + 20_000 + 1000 * 6 * 22
    assert search_bytes(10**6, 16, 5, on_gpu=True) == 20 * 10**6 + 16_384 * 6 * 22
    assert lists_bytes(1000, 16, 50) == 64_000 + 4_000 + 3_200
    assert lists_bytes(1000, 16, 50, on_gpu=True) == 64_000 + 8_000 + 3_200
    assert search_lists_bytes(1000, 16, 5, 50, memory=10**6) == 64_000 + 4_000 + 3_200 + 24_000 + 10**6
    assert search_lists_bytes(1000, 16, 5, 50, memory=0, num_queries=10) == 64_000 + 4_000 + 3_200 + 24_000 + 10 * 384


def test_select_positives():
    num, k, num_positives = 70_000, 20, 10
    for strategy, found in zip(STRATEGIES, peak_or_skip(peaks_of_select, num, 8, k, num_positives), strict=True):
        assert found == pytest.approx(select_bytes(num, k, num_positives, strategy), rel=0.05), strategy


def test_choosing_takes_no_copy_of_the_features_in_float64():
    num, dim = 10_000, 1024  # 39 MiB of features; which of their numbers are finite takes a quarter of that
    assert max(peak_or_skip(peaks_of_select, num, dim, 5, 5)) < 1.2 * num * dim
