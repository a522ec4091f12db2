"""The refresh at ImageNet's size: clusters, neighbours and positives, against faiss's stock path.

    python tools/benchmarks/refresh.py                       # 1,281,167 x 128, m = 10,000, k = 40
    python tools/benchmarks/refresh.py --num 50000 --clusters 400 --json refresh.json
    python tools/benchmarks/refresh.py --num 120000 --clusters 940 --groups 700 --family all

The vectors are drawn in groups: of one size (``--family even``), of very unequal sizes and widths with some vectors far
out (``unequal``), or in none, nearly uniform on the sphere (``uniform``). The stock path is k-means with 20 iterations
on all of them, and the exact search, whose time is extrapolated from ``--queries`` of them. A later refresh begins with
centres that were found by these vectors before they moved a little (``--step``). Each is run once.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
import faiss
import numpy as np
import torch
from pairs import write_figures
from peak_memory import peak_bytes_of

from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.neighbors import cluster, train_centroids
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import on_every_core, on_gpus
from clim_mm.neighbors.positives import distance_to_center
from clim_mm.neighbors.refresh import Refresh, refresh

_BLOCK = 65536


def clustered(num: int, dim: int, groups: int, spread: float, seed: int) -> np.ndarray:
    """(num, dim) float32 on the sphere: groups of one size on average, ``spread`` wide."""
    rng = np.random.default_rng(seed)
    centers = unit(rng.standard_normal((groups, dim), dtype=np.float32))
    vectors = np.empty((num, dim), dtype=np.float32)
    for start in range(0, num, _BLOCK):
        block = vectors[start:start + _BLOCK]
        noise = rng.standard_normal(block.shape, dtype=np.float32)
        block[:] = unit(centers[rng.integers(0, groups, len(block))] + noise * (spread / dim**0.5))
    return vectors


def unequal(num: int, dim: int, groups: int, spread: float, seed: int) -> np.ndarray:
    """(num, dim) float32 on the sphere: group sizes by Pareto's law, half to one and a half of ``spread`` wide.

    The noise is Student's t of three degrees of freedom: most of a group is near its centre, and a few far away.
    """
    rng = np.random.default_rng(seed)
    centers = unit(rng.standard_normal((groups, dim), dtype=np.float32))
    sizes = rng.pareto(1.2, groups) + 1
    widths = (spread * rng.uniform(0.5, 1.5, groups) / dim**0.5).astype(np.float32)
    vectors = np.empty((num, dim), dtype=np.float32)
    for start in range(0, num, _BLOCK):
        block = vectors[start:start + _BLOCK]
        group = rng.choice(groups, len(block), p=sizes / sizes.sum())
        noise = rng.standard_normal(block.shape, dtype=np.float32)
        noise /= np.sqrt(rng.chisquare(3, (len(block), 1)) / 3).astype(np.float32)
        block[:] = unit(centers[group] + noise * widths[group, None])
    return vectors


def uniform(num: int, dim: int, groups: int, spread: float, seed: int) -> np.ndarray:
    """(num, dim) float32 on the sphere, about one centre; ``groups`` and ``spread`` are not used."""
    rng = np.random.default_rng(seed)
    center = unit(rng.standard_normal((1, dim), dtype=np.float32))
    return unit(0.1 * center + unit(rng.standard_normal((num, dim), dtype=np.float32)))


FAMILIES = dict(even=clustered, unequal=unequal, uniform=uniform)


def moved(vectors: np.ndarray, step: float, seed: int) -> np.ndarray:
    """Each vector about ``step`` away, in a direction of its own."""
    rng = np.random.default_rng(seed)
    others = np.empty_like(vectors)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start:start + _BLOCK]
        noise = rng.standard_normal(block.shape, dtype=np.float32)
        others[start:start + _BLOCK] = unit(block + noise * (step / block.shape[1]**0.5))
    return others


def unit(vectors: np.ndarray) -> np.ndarray:
    """Of length one."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def seconds_of(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[float, Any]:
    """Of one call, and what it gives."""
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return time.perf_counter() - start, result


def objective(vectors: np.ndarray, centroids: np.ndarray, assignments: np.ndarray) -> float:
    """Mean squared distance to the own centre."""
    return float(distance_to_center(vectors, centroids, assignments).mean())


@on_every_core
def exact_neighbors(index: Any, vectors: np.ndarray, ids: np.ndarray, k: int) -> np.ndarray:
    """(n, k) true neighbours of some, without themselves, by an index of all."""
    _, found = index.search(vectors[ids], k + 1)
    return np.stack([row[row != i][:k] for row, i in zip(found, ids, strict=True)])


def center_wise_agreement(vectors: np.ndarray, found: Refresh, ids: np.ndarray, exact: np.ndarray) -> float:
    """Mean overlap (Jaccard) of the sets Omega_p (paper 3.2.1) by the neighbours found and the true ones."""
    to_center = distance_to_center(vectors, found.centroids, found.assignments)

    def omega_p(i: int, neighbors: np.ndarray) -> set[int]:
        inside = neighbors[neighbors >= 0]
        inside = inside[found.assignments[inside] == found.assignments[i]]
        return set(inside[to_center[inside] <= to_center[i]].tolist())

    overlaps = []
    for i, row in zip(ids.tolist(), exact, strict=True):
        ours, true = omega_p(i, found.neighbors[i]), omega_p(i, row)
        overlaps.append(len(ours & true) / len(ours | true) if ours | true else 1.0)
    return float(np.mean(overlaps))


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of the true neighbours that are found."""
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


def measure(make: Callable[..., np.ndarray], args: argparse.Namespace) -> dict[str, Any]:
    """Figures of the stock path, a first refresh and a later one on vectors of a family."""
    sizes = NeighborSizes(args.clusters, args.neighbors)
    vectors = make(args.num, args.dim, args.groups, args.spread, seed=0)
    results: list[Any] = []
    peak_bytes = peak_bytes_of(
        lambda: results.extend(seconds_of(refresh, vectors, sizes, exact=False, seed=0, progress=True)),
        torch.device('cpu'))
    first_seconds, first = results
    peak = None if peak_bytes is None else 1 + peak_bytes / vectors.nbytes

    ids = np.sort(np.random.default_rng(1).choice(args.num, min(args.queries, args.num), replace=False))
    index = on_gpus(faiss.IndexFlatL2(args.dim))
    index.add(vectors)
    search_seconds, exact = seconds_of(exact_neighbors, index, vectors, ids, args.neighbors)
    search_seconds *= args.num / len(ids)
    del index
    cluster_seconds, (centroids, assignments) = seconds_of(cluster, vectors, args.clusters, seed=0)
    stock_objective = objective(vectors, centroids, assignments)
    stock_seconds = cluster_seconds + search_seconds + first.report['seconds_select']

    def figures_of(found: Refresh, seconds: float) -> dict[str, float]:
        return found.report | dict(
            seconds=seconds, faster=stock_seconds / seconds, recall=recall(found.neighbors[ids], exact),
            center_wise_agreement=center_wise_agreement(vectors, found, ids, exact),
            objective_over_stock=objective(vectors, found.centroids, found.assignments) / stock_objective)

    figures: dict[str, Any] = dict(
        stock_seconds=stock_seconds, stock_seconds_cluster=cluster_seconds, stock_seconds_search=search_seconds,
        first=figures_of(first, first_seconds) | dict(peak_over_features=peak))
    before_moving = moved(vectors, args.step, seed=2)
    start = train_centroids(before_moving, args.clusters, seed=2)
    del before_moving
    later_seconds, later = seconds_of(refresh, vectors, sizes, exact=False, seed=1, start=start, progress=True)
    return figures | dict(later=figures_of(later, later_seconds))


def report(family: str, figures: dict[str, Any]) -> None:
    """Print the figures of a family."""
    print(f'{family}: stock path: {figures["stock_seconds"]:.0f} s '
          f'({figures["stock_seconds_cluster"]:.0f} s k-means; the search by some queries)')
    for name in ('first', 'later'):
        row = figures[name]
        print(f'{name} refresh: {row["seconds"]:.0f} s, {row["faster"]:.1f} times as fast; recall {row["recall"]:.4f}, '
              f'agreement of the center-wise sets {row["center_wise_agreement"]:.4f}, k-means objective '
              f'{row["objective_over_stock"]:.4f} of the stock path\'s')
    if figures['first']['peak_over_features'] is not None:
        print(f'peak memory of the first: {figures["first"]["peak_over_features"]:.2f} times the features')


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare the refresh with faiss\'s stock path.')
    parser.add_argument('--num', type=int, default=1281167, help='N (default: ImageNet\'s 1,281,167)')
    parser.add_argument('--dim', type=int, default=128, help='d (default: 128)')
    parser.add_argument('--clusters', type=int, default=10000, help='m (default: 10,000)')
    parser.add_argument('--neighbors', type=int, default=40, help='k (default: 40)')
    parser.add_argument('--family', choices=[*FAMILIES, 'all'], default='even', help='of vectors (default: even)')
    parser.add_argument('--groups', type=int, default=1000, help='that the vectors are drawn in (default: 1,000)')
    parser.add_argument('--spread', type=float, default=0.7, help='width of a group (default: 0.7)')
    parser.add_argument('--step', type=float, default=0.1, help='that vectors moved between refreshes (default: 0.1)')
    parser.add_argument('--queries', type=int, default=2000, help='for recall and the stock search (default: 2,000)')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    figures: dict[str, Any] = dict(settings=vars(args), families={})
    with errors_in_a_sentence():
        for family in FAMILIES if args.family == 'all' else [args.family]:
            figures['families'][family] = measure(FAMILIES[family], args)
            report(family, figures['families'][family])
    if args.json:
        write_figures(args.json, figures)


if __name__ == '__main__':
    main()
