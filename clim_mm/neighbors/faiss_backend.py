"""faiss, asked for at run time: all its GPUs where it has some, all CPU cores otherwise."""

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from clim_mm.errors import MissingDependencyError

from .blocks import ROWS_PER_BLOCK

P = ParamSpec('P')
T = TypeVar('T')


def load_faiss() -> ModuleType:
    """Import faiss.

    Raises:
        MissingDependencyError: If faiss is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingDependencyError('faiss is missing: `pip install "faiss-cpu>=1.12,<1.16"` installs it for the CPU, '
                                     '`pip install faiss-gpu-cu12` for NVIDIA GPUs.') from error
    return faiss


def on_every_core(function: Callable[P, T]) -> Callable[P, T]:
    """Let faiss use every core while ``function`` runs, and no longer.

    torchrun sets ``OMP_NUM_THREADS=1``, but one rank clusters while the others wait. faiss and torch share
    their OpenMP threads, and training on too many of them crawls: hence the way back.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        faiss = load_faiss()
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(max(before, _usable_cores()))
        try:
            return function(*args, **kwargs)
        finally:
            faiss.omp_set_num_threads(before)

    return wrapped


def _usable_cores() -> int:
    """Cores this process may run on; not every system tells, then all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def on_gpus(index: Any) -> Any:
    """``index`` copied to all of faiss's GPUs, or itself where faiss has none."""
    faiss = load_faiss()
    return faiss.index_cpu_to_all_gpus(index) if faiss.get_num_gpus() > 0 else index


def as_float32_matrix(features: np.ndarray, name: str = 'features') -> np.ndarray:
    """``features`` as the C-contiguous (N, d) float32 array that faiss reads.

    Raises:
        ValueError: If it is not two-dimensional, is empty, or holds a NaN or an infinity (faiss would abort).
    """
    matrix = np.ascontiguousarray(features, dtype=np.float32)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f'{name} must be a non-empty (N, d) array, but its shape is {matrix.shape}.')
    # In blocks: a mask of all at once is a quarter of the features.
    parts = np.array_split(matrix, -(-len(matrix) // ROWS_PER_BLOCK))
    finite = np.concatenate([np.isfinite(part).all(axis=1) for part in parts])
    if not finite.all():
        rows = np.flatnonzero(~finite)
        raise ValueError(f'{name} has NaN or infinity in {len(rows)} of {len(matrix)} rows, first in row {rows[0]}.')
    return matrix
