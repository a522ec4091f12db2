"""A small clustering and search on each of faiss's GPUs, in a process of its own, compared with the CPU's.

A GPU that faiss has no code for ends the process, and no exception tells of it: only another process can try.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

import numpy as np

_NUM, _DIM, _CLUSTERS, _NEIGHBORS = 512, 128, 16, 9
_LEAST_SHARED, _MOST_APART = 0.99, 0.01  # of the neighbours; of the k-means objective
_TEMPORARY = 2**24  # bytes; by default faiss would take 1.5 GiB of a GPU
_SECONDS = 300.0  # where faiss has code of an older GPU only, the driver translates it first
_NO_CODE = 'no kernel image'

TRY = (sys.executable, '-c', 'from clim_mm.neighbors import gpu_trial; gpu_trial.main()')


def trial(on_gpu: bool) -> dict[str, Any]:
    """Cluster and search the same few vectors anywhere.

    Returns:
        ``objective`` of k-means, and ``exact`` and ``in_lists``, (N, k) ids of neighbours.
    """
    import faiss
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((_CLUSTERS, _DIM)) * 4
    vectors = (centers[np.arange(_NUM) % _CLUSTERS] + rng.standard_normal((_NUM, _DIM))).astype(np.float32)

    def placed(index: Any) -> Any:
        if not on_gpu:
            return index
        resources = faiss.StandardGpuResources()
        resources.setTempMemory(_TEMPORARY)
        return faiss.index_cpu_to_gpu(resources, 0, index)

    clustering = faiss.Clustering(_DIM, _CLUSTERS)
    clustering.niter, clustering.seed, clustering.min_points_per_centroid = 5, 0, 1
    clustering.train(vectors, placed(faiss.IndexFlatL2(_DIM)))
    flat = placed(faiss.IndexFlatL2(_DIM))
    flat.add(vectors)
    quantizer = faiss.IndexFlatL2(_DIM)
    lists = faiss.IndexIVFFlat(quantizer, _DIM, _CLUSTERS, faiss.METRIC_L2)
    lists.cp.min_points_per_centroid, lists.nprobe = 1, 4
    lists.train(vectors)
    lists.add(vectors)
    lists = placed(lists)
    stats: Any = clustering.iteration_stats
    return dict(objective=stats.at(stats.size() - 1).obj,
                exact=flat.search(vectors, _NEIGHBORS)[1].tolist(),
                in_lists=lists.search(vectors, _NEIGHBORS)[1].tolist())


def gpu_fault(number: int, command: Sequence[str] = TRY, seconds: float = _SECONDS) -> Optional[str]:
    """Why one of faiss's GPUs cannot be trusted, in a sentence; None if all agree with the CPU.

    Args:
        number: Of GPUs, all of which are tried at once.
        command: Prints a :func:`trial` on the one GPU that it sees, as JSON in its last line.
        seconds: After which a trial counts as hanging.
    """
    expected, end = trial(on_gpu=False), time.monotonic() + seconds
    tried = [subprocess.Popen(command, env=_seeing(gpu), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors='replace') for gpu in range(number)]
    faults = [_fault_of(process, expected, end) for process in tried]
    gpu, fault = next(((gpu, fault) for gpu, fault in enumerate(faults) if fault is not None), (0, None))
    if fault is None:
        return None
    remedy = (' This faiss has no code for that GPU: requirements/gpu.txt names one that has, and how to install it.'
              if _NO_CODE in fault else '')
    return (f'faiss is not used on GPUs, since a small search on GPU {gpu} {fault}: the CPU clusters and '
            f'searches.{remedy}')


def _seeing(gpu: int) -> Mapping[str, str]:
    """The environment of a process that sees one GPU, and finds this package."""
    visible = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',')
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get('PYTHONPATH')])]
    return dict(os.environ, CUDA_VISIBLE_DEVICES=visible[gpu] if gpu < len(visible) and visible[gpu] else str(gpu),
                PYTHONPATH=os.pathsep.join(paths))


def _fault_of(process: subprocess.Popen, expected: Mapping[str, Any], end: float) -> Optional[str]:
    """What a trial did wrong, as the rest of a sentence."""
    try:
        output, errors = process.communicate(timeout=max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # a process in a GPU's driver may not even die
            process.communicate(timeout=1)
        return 'did not end in time'
    if process.returncode:
        how = (f'died of {_name_of(-process.returncode)}' if process.returncode < 0
               else f'ended with status {process.returncode}')
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if 'error' in line.lower()), lines[-1] if lines else '')
        return f'{how} ({said.rpartition("details: ")[2][-300:]})' if said else how
    try:
        return None if agrees(json.loads(output.splitlines()[-1]), expected) else 'finds other neighbours than the CPU'
    except (ValueError, IndexError, KeyError, TypeError):
        return 'gave no result'


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'


def agrees(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether a :func:`trial` has found what another has, but for rounding."""
    apart = abs(found['objective'] / expected['objective'] - 1)
    shared = [np.mean([len(set(ours) & set(theirs)) / len(theirs) for ours, theirs in zip(found[name], expected[name],
                                                                                           strict=True)])
              for name in ('exact', 'in_lists')]
    return bool(apart <= _MOST_APART and min(shared) >= _LEAST_SHARED)  # NaN is no agreement


def main() -> None:
    """Print a trial on the first GPU."""
    import faiss
    if not faiss.get_num_gpus():
        sys.exit('faiss sees no GPU')
    print(json.dumps(trial(on_gpu=True)), flush=True)
    os._exit(0)  # what a GPU's library does at the end is no matter
