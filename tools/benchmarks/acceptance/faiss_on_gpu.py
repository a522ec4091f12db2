"""Whether faiss's GPUs find what the CPU finds."""

from collections.abc import Iterator

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
import faiss
import numpy as np
from refresh import clustered, objective, recall

from clim_mm.neighbors import cluster, ivf_search, search, train_centroids
from clim_mm.neighbors.exact_search import without_self
from clim_mm.neighbors.faiss_backend import num_gpus
from clim_mm.neighbors.gpu_trial import gpu_fault

from .rows import Row, at_least, at_most, left_out
from .setting import Setting

_NEIGHBORS = 40


def check_faiss(setting: Setting) -> Iterator[Row]:
    """A search on each GPU in a process of its own; recall and objective at some size against the CPU's."""
    number = faiss.get_num_gpus()
    name = 'GPUs that agree with the CPU on a small search'
    if number:
        fault = gpu_fault()
        yield at_least(name, 0 if fault else number, number, note=fault or '')
    else:
        yield left_out(name, 'this faiss has no GPUs')
    num, num_clusters = (2000, 50) if setting.small else (100_000, 1000)
    vectors = clustered(num, 128, num_clusters // 10, 0.7, seed=0)
    ids = np.sort(np.random.default_rng(1).choice(num, min(num, 2000), replace=False))
    _, found = faiss.knn(vectors[ids], vectors, _NEIGHBORS + 1)  # on the CPU, whatever faiss has
    exact = without_self(found, ids)
    where = f'on {num_gpus()} GPU(s)' if num_gpus() else 'on the CPU'

    kmeans = faiss.Kmeans(128, num_clusters, niter=20, seed=0, gpu=False, max_points_per_centroid=256)
    kmeans.train(vectors)
    by_cpu = objective(vectors, kmeans.centroids, kmeans.assign(vectors)[1])
    own = objective(vectors, *cluster(vectors, num_clusters))
    yield at_most('k-means objective over the CPU\'s', own / by_cpu, 1.01, note=where)
    yield at_least(f'recall of {_NEIGHBORS} neighbours, exact', recall(search(vectors, _NEIGHBORS)[ids], exact), 0.999,
                   note=where)
    centroids = train_centroids(vectors, num_clusters)
    in_lists = ivf_search(vectors, _NEIGHBORS, centroids)
    yield at_least(f'recall of {_NEIGHBORS} neighbours, in lists', recall(in_lists.neighbors[ids], exact), 0.99,
                   note=f'{where}; nprobe {in_lists.nprobe}')
    own = objective(vectors, centroids, in_lists.assignments)
    yield at_most('objective of centres by samples over the CPU\'s', own / by_cpu, 1.02, note=where)
