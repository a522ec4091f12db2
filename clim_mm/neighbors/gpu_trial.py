"""A small search on each of faiss's GPUs, in a process of its own, compared with the CPU's.

A GPU that faiss has no code for ends the process, and no exception tells of it: only another process can try.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

import numpy as np

_NUM, _DIM, _LISTS, _NEIGHBORS = 512, 128, 16, 9
_LEAST_SHARED = 0.99  # of the neighbours
_TEMPORARY = 2**24  # bytes; by default faiss would take 1.5 GiB of a GPU
_SECONDS = 300.0  # where faiss has code of an older GPU only, the driver translates it first
_SOUND = 'all GPUs agree with the CPU'

TRY = (sys.executable, '-c', 'from clim_mm.neighbors import gpu_trial; gpu_trial.main()')


def trial(gpu: Optional[int]) -> np.ndarray:
    """(N, k) ids that an inverted-list search finds for the same few vectors on a GPU, or on the CPU."""
    import faiss
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((_LISTS, _DIM)) * 4
    vectors = (centers[np.arange(_NUM) % _LISTS] + rng.standard_normal((_NUM, _DIM))).astype(np.float32)
    index: Any = faiss.IndexIVFFlat(faiss.IndexFlatL2(_DIM), _DIM, _LISTS, faiss.METRIC_L2)
    index.cp.min_points_per_centroid, index.nprobe = 1, 4
    index.train(vectors)
    index.add(vectors)
    if gpu is not None:
        resources = faiss.StandardGpuResources()
        resources.setTempMemory(_TEMPORARY)
        index = faiss.index_cpu_to_gpu(resources, gpu, index)
    return index.search(vectors, _NEIGHBORS)[1]


def agrees(found: np.ndarray, expected: np.ndarray) -> bool:
    """Whether a trial has found what another has, but for rounding."""
    shared = [len(set(ours) & set(theirs)) / len(theirs)
              for ours, theirs in zip(found.tolist(), expected.tolist(), strict=True)]
    return bool(np.mean(shared) >= _LEAST_SHARED)


def main() -> None:
    """Try each GPU in turn, and end with the fault of the first that cannot be used."""
    import faiss
    expected = trial(None)
    for gpu in range(faiss.get_num_gpus() or sys.exit('error: faiss sees no GPU')):
        if not agrees(trial(gpu), expected):
            sys.exit(f'error: GPU {gpu} finds other neighbours than the CPU')
    print(_SOUND, flush=True)
    os._exit(0)  # what a GPU's library does at the end is no matter


def gpu_fault(command: Sequence[str] = TRY, seconds: float = _SECONDS) -> Optional[str]:
    """Why faiss's GPUs cannot be trusted, in a sentence; None if all agree with the CPU.

    Args:
        command: Runs :func:`main`.
        seconds: After which it counts as hanging.
    """
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get('PYTHONPATH')])]
    process = subprocess.Popen(command, env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)), text=True,
                               errors='replace', stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=seconds)
        if process.returncode == 0 and _SOUND in output:
            return None
        fault = f'ended with status {process.returncode} ({" ".join(errors.split())[-300:] or "no word"})'
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # a process in a GPU's driver may not even die
            process.communicate(timeout=1)
        fault = 'did not end in time'
    return (f'faiss is not used on GPUs, since a small search there {fault}: the CPU clusters and searches. '
            'requirements/gpu.txt says which faiss has code for which GPU.')
