"""faiss, imported on demand: on all GPUs that work, otherwise on all CPU cores; and the arrays that it is given."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from mmengine.logging import print_log

from clim_mm.errors import ConfigError, MissingDependencyError, on_one_line

from .gpu_trial import gpu_fault

P = ParamSpec('P')
T = TypeVar('T')

ROWS_PER_BLOCK = 65536  # where no memory budget says otherwise
_FEWEST_ROWS = 64  # below, faiss's work on a block is mostly overhead
_ONE_ALONE = ('its packages share a folder, so take out all of them with `pip uninstall -y faiss-cpu faiss-gpu '
              'faiss-gpu-cu12`, then install one.')


def load_faiss() -> ModuleType:
    """Import faiss, or say how to install it."""
    try:
        import faiss
        if not hasattr(faiss, 'Kmeans'):  # another of its packages was taken out, and the files of both with it
            raise ImportError('files are missing')
    except (ImportError, AttributeError) as error:  # AttributeError: files of two packages, of different versions
        if isinstance(error, ModuleNotFoundError) and error.name == 'faiss':
            raise MissingDependencyError(
                'faiss is missing: `pip install "faiss-cpu>=1.12,<1.16"` installs it for the CPU, '
                '`pip install "faiss-gpu>=1.15.1,<1.16"` for NVIDIA GPUs.') from error
        raise MissingDependencyError(
            f'faiss is not installed as a whole ({on_one_line(error)}): {_ONE_ALONE}') from error
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
        cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
        faiss.omp_set_num_threads(max(before, cores))
        try:
            return function(*args, **kwargs)
        finally:
            faiss.omp_set_num_threads(before)

    return wrapped


@functools.cache
def num_gpus() -> int:
    """How many GPUs faiss computes on: all if each agrees with the CPU on a small search, else none, with a warning."""
    faiss = load_faiss()
    if not torch.cuda.is_available():  # a driver that fails would end the process in faiss
        return 0
    number, fault = faiss.get_num_gpus(), None
    if number:
        torch.cuda.empty_cache()  # another process tries the GPUs
        fault = gpu_fault()
    elif not hasattr(faiss, 'StandardGpuResources'):
        for name in (found.name for found in distributions()):
            if name.startswith(('faiss-gpu', 'faiss-cuda')):
                fault = (f'{name} is installed, but the faiss in its place knows no GPUs, so that the CPU clusters and '
                         f'searches: {_ONE_ALONE}')
    if fault is not None:
        print_log(fault, logger='current', level=logging.WARNING)
    return 0 if fault else number


def on_gpus(index: Any) -> Any:
    """``index`` copied to all of faiss's GPUs, or itself where there are none."""
    return load_faiss().index_cpu_to_all_gpus(index) if num_gpus() else index


def as_float32_matrix(features: np.ndarray, name: str = 'features') -> np.ndarray:
    """``features`` as the C-contiguous (N, d) float32 array that faiss reads; it would abort at a NaN or infinity."""
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


def feature_bytes(num_features: int, dim: int) -> int:
    """Bytes of an (N, d) float32 array."""
    return num_features * dim * 4


def blocks(num_rows: int, bytes_per_row: int, budget: int) -> Iterator[slice]:
    """Slices that cover ``num_rows`` rows, each of at most ``budget`` bytes.

    A budget that does not hold a small block is refused at once, not with the first slice.
    """
    rows = budget // bytes_per_row
    if rows < min(num_rows, _FEWEST_ROWS):
        needed = -(-_FEWEST_ROWS * bytes_per_row // 2**20)
        raise ConfigError(f'A memory budget of {budget / 2**20:.3g} MiB does not hold a block of {_FEWEST_ROWS} rows: '
                          f'set memory_mib of CenterWiseNeighborHook to at least {needed}.')
    return (slice(start, min(start + rows, num_rows)) for start in range(0, num_rows, rows))
