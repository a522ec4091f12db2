"""How fast this machine searches, from a small block of random vectors."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from clim_mm.neighbors.faiss_backend import load_faiss, on_every_core, on_gpus

_VECTORS, _LISTS, _PROBES = 16384, 128, 16
_FLOPS = 8e9  # of one measured search, a twentieth of a second on two cores
_FEWEST_QUERIES, _MOST_QUERIES = 512, 4096  # with fewer, faiss is slower


@dataclass(frozen=True)
class SearchSpeed:
    """Floating-point operations a second.

    Attributes:
        cluster: Of finding the nearest centre.
        search: Of finding neighbours, among all images or in inverted lists.
        on_gpu: Whether faiss has GPUs.
    """

    cluster: float
    search: float
    on_gpu: bool


@on_every_core
def measure_search(dim: int, num_neighbors: int, exact: bool) -> SearchSpeed:
    """Search small indexes as a refresh will search large ones.

    Args:
        dim: d.
        num_neighbors: k.
        exact: Whether the search is among all images.

    Raises:
        MissingDependencyError: If faiss is missing.
    """
    faiss = load_faiss()
    vectors = np.random.default_rng(0).standard_normal((_VECTORS, dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = on_gpus(faiss.IndexFlatL2(dim))
    flat.add(vectors)
    cluster = _speed(flat, vectors, 1, seen=_VECTORS)
    if exact:
        search = _speed(flat, vectors, num_neighbors + 1, seen=_VECTORS)
    else:
        search = _speed(_lists(vectors), vectors, num_neighbors + 1, seen=_VECTORS * _PROBES // _LISTS)
    return SearchSpeed(cluster, search, faiss.get_num_gpus() > 0)


def _lists(vectors: np.ndarray) -> Any:
    """An inverted index whose centres are some of the vectors: how good they are does not matter for the speed."""
    faiss = load_faiss()
    quantizer = faiss.IndexFlatL2(vectors.shape[1])
    quantizer.add(vectors[:_LISTS])
    index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], _LISTS, faiss.METRIC_L2)
    index.nprobe = _PROBES
    index = on_gpus(index)
    index.add(vectors)
    return index


def _speed(index: Any, vectors: np.ndarray, k: int, seen: int) -> float:
    """Operations a second of a search, each query of which sees ``seen`` vectors."""
    flops_of_query = 2.0 * seen * vectors.shape[1]
    queries = vectors[:min(max(_FEWEST_QUERIES, int(_FLOPS / flops_of_query)), _MOST_QUERIES)]
    index.search(queries[:64], k)  # starts threads
    start = time.perf_counter()
    index.search(queries, k)
    return flops_of_query * len(queries) / (time.perf_counter() - start)
