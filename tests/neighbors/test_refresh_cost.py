"""What a refresh takes is about what is told of it."""

import time

import faiss
import numpy as np
import pytest
from gloo import on_processes
from measured_memory import peak_bytes_of

from clim_mm.neighbors import STRATEGIES, search, select_positives
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import feature_bytes, num_gpus
from clim_mm.neighbors.refresh import refresh
from clim_mm.neighbors.refresh_cost import kmeans_flops, measure_search, refresh_bytes, search_flops

MIB = 2**20
IMAGENET, DIM, CENTRES = 1_281_167, 128, 10_000


def vectors(num, dim):
    return np.random.default_rng(0).random((num, dim), dtype=np.float32)


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


@pytest.mark.e2e  # in a process of its own
def test_choosing_takes_no_copy_of_the_features_in_float64():
    num, dim = 10_000, 1024  # 39 MiB of features; which of their numbers are finite takes a quarter of that
    assert max(peak_or_skip(peaks_of_select, num, dim, 5, 5)) < 1.2 * num * dim


def test_bytes_of_imagenet_by_hand():
    sizes = NeighborSizes(CENTRES, 40)
    assert feature_bytes(IMAGENET, DIM) == 655_957_504  # 0.61 GiB
    told = refresh_bytes(IMAGENET, DIM, sizes, 10)
    assert told == 2 * 655_957_504 + IMAGENET * (16 * 56 + 4 * 10) + 48 * 40 * 65536
    assert refresh_bytes(IMAGENET, DIM, sizes, 10, all_readable=False) == told + 655_957_504
    assert refresh_bytes(IMAGENET, DIM, sizes, 10, all_readable=False, whitened=True) == told + 2 * 655_957_504


def peak_of_refresh(num, dim, sizes, exact, least_recall, some_unreadable, whiten):
    """Bytes that a refresh takes, its features among it."""
    def run(num):
        features = np.random.default_rng(0).random((num, dim), dtype=np.float32)
        refresh(features, sizes, readable=np.arange(int(some_unreadable), num), num_positives=3, exact=exact, nprobe=1,
                least_recall=least_recall, whiten=whiten)

    run(200)
    return peak_bytes_of(lambda: run(num))


@pytest.mark.e2e
@pytest.mark.parametrize('exact, least_recall, num, dim, some_unreadable, whiten', [
    (True, 0, 300, 2**14, True, None), (False, 0, 16_000, 256, False, None), (False, 1, 30_000, 128, False, None),
    (False, 0, 16_000, 256, False, 0.1)])
def test_a_refresh_takes_about_the_memory_that_is_told(exact, least_recall, num, dim, some_unreadable, whiten):
    """No copy of the features more, and none less: they are 19, 16 and 15 MiB."""
    sizes = NeighborSizes(20, 5)
    found, = on_processes(1, peak_of_refresh, num, dim, sizes, exact, least_recall, some_unreadable, whiten,
                          init=False)
    if found is None:
        pytest.skip('this system does not tell the memory that is taken')
    told = refresh_bytes(num, dim, sizes, 3, all_readable=not some_unreadable, whitened=whiten is not None)
    assert told - 15 * MIB < found < told + 15 * MIB


def test_operations_of_imagenet():
    assert search_flops(IMAGENET, DIM, CENTRES, exact=True, nprobe=32) == pytest.approx(4.202e14, rel=1e-3)
    # 20 iterations and the assignment: 21 x 1,281,167 x 10,000 x 128 multiply-adds.
    assert kmeans_flops(IMAGENET, DIM, CENTRES, exact=True) == pytest.approx(21 * 3.27979e12, rel=1e-4)
    exact = search_flops(IMAGENET, DIM, CENTRES, exact=True, nprobe=32)
    assert search_flops(IMAGENET, DIM, CENTRES, exact=False, nprobe=32) == pytest.approx(exact * 32 / CENTRES)
    assert search_flops(IMAGENET, DIM, 10, exact=False, nprobe=32) == exact


def test_operations_of_a_sampled_kmeans():
    # Of 64 images a centre five iterations; of all three, and the assignment.
    seen = 5 * 64 * CENTRES + 4 * IMAGENET
    assert kmeans_flops(IMAGENET, DIM, CENTRES, exact=False) == 2 * seen * CENTRES * DIM
    # 256 images a centre at most.
    more = 2 * (20 * 256 * 100 + 10**6) * 100 * 8
    assert kmeans_flops(10**6, 8, 100, exact=True) == more


def test_it_takes_a_moment_and_gives_a_speed():
    state, threads = np.random.get_state()[1].copy(), faiss.omp_get_max_threads()
    start = time.perf_counter()
    speed = measure_search(32, num_neighbors=10)
    assert time.perf_counter() - start < 30
    assert 1e7 < speed.search and 1e7 < speed.cluster
    assert speed.on_gpu == (num_gpus() > 0)
    assert (np.random.get_state()[1] == state).all() and faiss.omp_get_max_threads() == threads


def test_it_tells_how_long_a_real_search_takes():
    features = np.random.default_rng(1).standard_normal((8_000, 32), dtype=np.float32)
    ratios = []
    for _ in range(3):  # other work on the machine may disturb one of them
        speed = measure_search(32, num_neighbors=20)
        start = time.perf_counter()
        search(features, 20)
        seconds = time.perf_counter() - start
        ratios.append(search_flops(8_000, 32, 100, exact=True, nprobe=1) / speed.search / seconds)
        if 1 / 3 < ratios[-1] < 3:
            return
    pytest.fail(f'it would tell {ratios} times the seconds')
