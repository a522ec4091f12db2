"""faiss, asked for at run time: all its GPUs where it has some that work, all CPU cores otherwise."""

import functools
import logging
import os
from collections.abc import Callable
from importlib.metadata import distributions
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from mmengine.logging import print_log

from clim_mm.errors import MissingDependencyError, on_one_line

from .blocks import ROWS_PER_BLOCK
from .gpu_trial import gpu_fault

P = ParamSpec('P')
T = TypeVar('T')

_ONE_ALONE = ('its packages share a folder, so take out all of them with `pip uninstall -y faiss-cpu faiss-gpu '
              'faiss-gpu-cu12`, then install one.')


def load_faiss() -> ModuleType:
    """Import faiss.

    Raises:
        MissingDependencyError: If faiss is not installed, or not as a whole.
    """
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
        faiss.omp_set_num_threads(max(before, _usable_cores()))
        try:
            return function(*args, **kwargs)
        finally:
            faiss.omp_set_num_threads(before)

    return wrapped


def _usable_cores() -> int:
    """Cores this process may run on; not every system tells, then all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


@functools.cache
def num_gpus() -> int:
    """How many GPUs faiss computes on: all that it has if each agrees with the CPU on a small search, else none.

    Where it is none although GPUs were meant, it says so once.
    """
    faiss = load_faiss()
    if not torch.cuda.is_available():  # a driver that fails would end the process in faiss
        return 0
    number, fault = faiss.get_num_gpus(), None
    if number:
        torch.cuda.empty_cache()  # other processes try the GPUs
        fault = gpu_fault(number)
    elif not hasattr(faiss, 'StandardGpuResources') and (names := _gpu_packages()):
        fault = (f'{names[0]} is installed, but the faiss in its place knows no GPUs, so that the CPU clusters and '
                 f'searches: {_ONE_ALONE}')
    if fault is not None:
        print_log(fault, logger='current', level=logging.WARNING)
    return 0 if fault else number


def _gpu_packages() -> list[str]:
    """Names of the installed packages of faiss for GPUs."""
    return [name for found in distributions() if (name := found.name).startswith(('faiss-gpu', 'faiss-cuda'))]


def on_gpus(index: Any) -> Any:
    """``index`` copied to all of faiss's GPUs, or itself where there are none."""
    return load_faiss().index_cpu_to_all_gpus(index) if num_gpus() else index


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
