"""The arithmetic, by hand and against what the code it stands for really does."""

import faiss
import numpy as np
import pytest
from gloo import on_processes
from measured_memory import peak_bytes_of
from torch.utils.data import BatchSampler

from clim_mm.neighbors import cluster
from clim_mm.neighbors.kmeans_stop import ON_ALL, ON_SAMPLE, POINTS_PER_CENTROID
from clim_mm.neighbors.readable import refresh_readable
from clim_mm.neighbors.search import search_bytes
from clim_mm.neighbors.search_lists import search_lists_bytes
from clim_mm.neighbors.select import select_bytes
from clim_mm.neighbors.sizes import NeighborSizes
from clim_mm.preflight import estimates

IMAGENET, DIM, CENTRES = 1_281_167, 128, 10_000


@pytest.mark.parametrize('num_images', [1, 7, 24, 25, 203])
@pytest.mark.parametrize('processes', [1, 2, 3])
@pytest.mark.parametrize('drop_last', [True, False])
@pytest.mark.parametrize('round_up', [True, False])
def test_steps_are_those_of_the_framework(num_images, processes, drop_last, round_up):
    from mmengine.dataset import DefaultSampler
    sampler = DefaultSampler(range(num_images), round_up=round_up)
    # As its last process sees it: MMEngine reads the number of processes from the process group.
    sampler.rank, sampler.world_size = processes - 1, processes
    rest = num_images - (processes - 1)
    sampler.num_samples = -(-num_images // processes) if round_up else -(-rest // processes)
    steps = len(BatchSampler(range(sampler.num_samples), 8, drop_last))
    assert estimates.steps_per_epoch(num_images, 8, processes, drop_last, round_up) == steps


def test_steps_of_imagenet_and_of_a_set_below_one_batch():
    assert estimates.steps_per_epoch(IMAGENET, 32, 16, drop_last=True) == 2502
    assert estimates.steps_per_epoch(IMAGENET, 32, 16, drop_last=False) == 2503
    assert estimates.steps_per_epoch(31, 32, 1, drop_last=True) == 0


def test_optimizer_steps():
    assert estimates.optimizer_steps(10, epochs=3, accumulation=4) == 9  # 4 + 4 + 2 batches an epoch
    assert estimates.optimizer_steps(10, epochs=3, accumulation=1) == 30


@pytest.mark.parametrize('first, expected', [(0, [2, 7, 12, 17]), (7, [7, 12, 17]), (8, [12, 17]), (18, [])])
def test_refreshes_still_to_come(first, expected):
    assert estimates.refreshes_between(first, max_epochs=20, begin=2, interval=5) == len(expected)


def test_refreshes_of_a_training_without_an_end_are_counted_at_once():
    assert estimates.refreshes_between(7, max_epochs=10**30, begin=2, interval=5) == 2 * 10**29 - 1
    assert estimates.refreshes_between(10**12, max_epochs=4, begin=2, interval=5) == 0


def test_bytes_of_imagenets_features():
    assert estimates.feature_bytes(IMAGENET, DIM) == 655_957_504  # 0.61 GiB


def finding(exact, strategy='center_wise', on_gpu=False, all_readable=True):
    return estimates.finding_bytes(1000, 16, NeighborSizes(50, 5), 3, strategy, exact, 4000, on_gpu, all_readable)


def test_bytes_while_searching_by_hand():
    exact, by_lists = (finding(exact, strategy='knn') for exact in (True, False))
    assert exact == 64_000 + 8_000 + search_bytes(1000, 16, 5)
    assert by_lists == 64_000 + search_lists_bytes(1000, 16, 5, 50, memory=4000)
    assert finding(exact=True, strategy='knn', all_readable=False) == 64_000 + exact


def test_bytes_while_choosing_by_hand():
    """On a GPU the search takes little of the host's memory."""
    chosen = select_bytes(1000, 5, 3, 'center_wise')
    assert finding(exact=True, on_gpu=True) == 64_000 + 8_000 + 20_000 + chosen > 72_000 + search_bytes(
        1000, 16, 5, on_gpu=True)
    assert finding(exact=True, strategy='kmeans', on_gpu=True) != finding(exact=True, on_gpu=True)


def peak_of_refresh(num, dim, sizes, memory, exact, some_unreadable):
    """Bytes that a refresh takes, its features among it."""
    def run(num):
        features = np.random.default_rng(0).random((num, dim), dtype=np.float32)
        readable = np.arange(int(some_unreadable), num)
        refresh_readable(features, readable, sizes, num_positives=3, exact=exact, nprobe=1, least_recall=0.0,
                         memory=memory)

    run(200)
    return peak_bytes_of(lambda: run(num))


@pytest.mark.e2e
@pytest.mark.parametrize('exact, num, dim, some_unreadable', [(True, 300, 2**14, True), (False, 4_000, 1024, False)])
def test_the_memory_that_a_refresh_takes_is_what_its_parts_tell(exact, num, dim, some_unreadable):
    """No copy of the features more, and none less: they are 19 and 16 MiB."""
    sizes, memory = NeighborSizes(20, 5), 2**23
    found, = on_processes(1, peak_of_refresh, num, dim, sizes, memory, exact, some_unreadable, init=False)
    if found is None:
        pytest.skip('this system does not tell the memory that is taken')
    told = estimates.finding_bytes(
        num, dim, sizes, 3, 'center_wise', exact, memory, on_gpu=False, all_readable=not some_unreadable)
    assert told - memory < found < told + memory


def test_operations_of_imagenet():
    assert estimates.search_flops(IMAGENET, DIM, CENTRES, exact=True, nprobe=32) == pytest.approx(4.202e14, rel=1e-3)
    # 20 iterations and the assignment: 21 x 1,281,167 x 10,000 x 128 multiply-adds.
    assert estimates.cluster_flops(IMAGENET, DIM, CENTRES, exact=True) == pytest.approx(21 * 3.27979e12, rel=1e-4)
    exact = estimates.search_flops(IMAGENET, DIM, CENTRES, exact=True, nprobe=32)
    assert estimates.search_flops(IMAGENET, DIM, CENTRES, exact=False, nprobe=32) == pytest.approx(exact * 32 / CENTRES)
    assert estimates.search_flops(IMAGENET, DIM, 10, exact=False, nprobe=32) == exact


def test_clustering_takes_a_sample_of_large_sets():
    points, clusters = 100 * 256, 100
    whole = estimates.cluster_flops(points, 8, clusters, exact=True)
    twice = estimates.cluster_flops(2 * points, 8, clusters, exact=True)
    assert twice - whole == estimates.assign_flops(points, 8, clusters) == 2 * points * clusters * 8


def test_what_is_counted_is_what_cluster_does(monkeypatch):
    """By faiss's own account, on a set of which it takes a sample."""
    taken = {}
    train = faiss.Kmeans.train

    def noted(kmeans, x, *args, **kwargs):
        train(kmeans, x, *args, **kwargs)
        taken.update(iterations=len(kmeans.obj), points=kmeans.cp.max_points_per_centroid)

    monkeypatch.setattr(faiss.Kmeans, 'train', noted)
    cluster(np.random.default_rng(0).random((6000, 4), dtype=np.float32), 20)
    assert taken == dict(iterations=estimates.KMEANS_ITERATIONS, points=estimates.MAX_POINTS_PER_CENTROID)


def test_clustering_of_large_sets_takes_the_usual_iterations():
    of_all, of_sample = (estimates.assign_flops(n, 8, 100) for n in (10**6, 100 * POINTS_PER_CENTROID))
    expected = ON_SAMPLE.usual_iterations * of_sample + (ON_ALL.usual_iterations + 1) * of_all
    assert estimates.cluster_flops(10**6, 8, 100, exact=False) == expected


@pytest.mark.parametrize('compute, load, num_workers, cores, processes, busy, expected', [
    (1.0, 0.1, 4, 100, 1, 1, 1.0),  # the model: 8 samples take 4 workers 0.2 s
    (0.1, 0.1, 4, 100, 1, 1, 0.2),  # the workers
    (0.1, 0.1, 0, 100, 1, 1, 0.9),  # no workers: one after the other
    (1.0, 0.1, 4, 2, 1, 2, 1.4),  # the cores: 1.0 s on two and 0.8 s on one, for two
    (1.0, 0.1, 4, 2, 4, 0.5, 2.6),  # four processes: 4 x (0.5 + 0.8) core seconds
])
def test_the_slowest_part_counts(compute, load, num_workers, cores, processes, busy, expected):
    seconds = estimates.pipelined_seconds(compute, load, 8, num_workers, cores, processes, busy)
    assert seconds == pytest.approx(expected)


def test_workers_needed():
    assert estimates.workers_needed(compute=0.5, load=0.1, batch_size=32) == 7  # 3.2 s of loading
    assert estimates.workers_needed(compute=5.0, load=0.1, batch_size=32) == 1


@pytest.mark.parametrize('seconds, bytes_per_image, free, expected', [
    (10.0, None, None, 8),
    (5.9, None, None, 4),
    (0.5, None, None, 1),
    (10.0, 100.0, 450.0, 4),
    (10.0, 100.0, 10.0, 1),
    (-1.0, None, None, 1),
])
def test_images_that_fit(seconds, bytes_per_image, free, expected):
    assert estimates.images_that_fit([1, 2, 4, 8], 1.0, seconds, bytes_per_image, free) == expected


@pytest.mark.parametrize('epochs, interval, keep, expected', [
    (20, 5, 3, 4),  # three, and the fourth being written
    (20, 5, -1, 4),
    (20, 3, -1, 7),  # epochs 3, 6, 9, 12, 15, 18 and the last
    (20, 10, 3, 2),
    (20, 50, 3, 1),
    (20, 0, 3, 1),
])
def test_kept_checkpoints(epochs, interval, keep, expected):
    assert estimates.kept_checkpoints(epochs, interval, keep) == expected
