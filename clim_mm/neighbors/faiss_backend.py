"""faiss, imported on demand: on all GPUs that work, otherwise on all CPU cores; and the arrays that it is given."""

import functools
import logging
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Optional, ParamSpec, TypeVar

import numpy as np
import torch
from mmengine.logging import print_log

from clim_mm.errors import MissingDependencyError, on_one_line

from .gpu_trial import gpu_fault

P = ParamSpec('P')
T = TypeVar('T')

ROWS_PER_BLOCK = 65536  # of a block of features that faiss is given
NUMBERS_PER_BLOCK = 2**18  # of intermediates that have the features' shape


def load_faiss() -> ModuleType:
    """Import faiss, or say how to install it."""
    try:
        import faiss
        if not hasattr(faiss, 'Kmeans'):  # another of its packages was taken out, and the files of both with it
            raise ImportError('files are missing')
    except (ImportError, AttributeError) as error:  # AttributeError: files of two packages, of different versions
        raise MissingDependencyError(
            f'faiss is missing or not installed as a whole ({on_one_line(error)}): its packages share a folder, so '
            'take out all of them with `pip uninstall -y faiss-cpu faiss-gpu faiss-gpu-cu12`, then install one: '
            '`pip install "faiss-cpu>=1.12,<1.16"` for the CPU, `pip install "faiss-gpu>=1.15.1,<1.16"` for NVIDIA '
            'GPUs.') from error
    return faiss


def available_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def on_every_core(function: Callable[P, T]) -> Callable[P, T]:
    """Let faiss use every core while ``function`` runs, and no longer.

    torchrun sets ``OMP_NUM_THREADS=1``, but one rank clusters while the others wait. faiss and torch share
    their OpenMP threads, and training on too many of them crawls: hence the way back.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        faiss = load_faiss()
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(max(before, available_cores()))
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
    fault: Optional[str] = 'This faiss knows no GPU: the CPU clusters and searches (docs/training.md, "faiss on GPUs").'
    if number := faiss.get_num_gpus():
        torch.cuda.empty_cache()  # another process tries the GPUs
        fault = gpu_fault()
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
    finite = np.isfinite(matrix.sum(axis=1, dtype=np.float64))  # a mask of all numbers is a quarter of the features
    if not finite.all():
        rows = np.flatnonzero(~finite)
        raise ValueError(f'{name} has NaN or infinity in {len(rows)} of {len(matrix)} rows, first in row {rows[0]}.')
    return matrix


def feature_bytes(num_features: int, dim: int) -> int:
    """Bytes of an (N, d) float32 array."""
    return num_features * dim * 4


def blocks_of(features: np.ndarray) -> Iterator[slice]:
    """Rows of (N, d) features, one block after the other, for intermediates that would else take too much memory."""
    rows = max(1, NUMBERS_PER_BLOCK // features.shape[1])
    return (slice(start, start + rows) for start in range(0, len(features), rows))
