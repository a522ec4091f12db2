"""How long the parts of a training take, from a few samples and a few steps."""

import copy
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Optional

import numpy as np
import torch
from mmengine import dist
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from clim_mm.datasets import SingleViews, collate_views
from clim_mm.errors import on_one_line
from clim_mm.neighbors.refresh_cost import SearchSpeed, measure_search
from clim_mm.protocols import Quarantining, RefreshesNeighbors

from .rehearsal import Rehearsal, measure_steps
from .settings import Settings

_FOR_SAMPLES, _FOR_STEPS = 0.3, 0.5  # shares of the time
_VIEWS = 8  # of a refresh
_FEWEST = 3  # samples or encodings, of which the first one warms up


@dataclass(frozen=True)
class Measurements:
    """What was measured: seconds for an image, and bytes; None for what was not."""

    samples: int = 0  # that were made
    unreadable: tuple[str, ...] = ()  # paths of the images that could not be read
    load: Optional[float] = None  # a worker's seconds for a sample
    compute: Optional[float] = None  # a process's of a training step
    activation_bytes: Optional[float] = None  # of an image, where a GPU tells
    optimizer_bytes: int = 0
    load_view: float = 0.0  # a worker's seconds for a view of a refresh, as the next two measured with ``search``
    encode: float = 0.0  # the encoder's
    dim: int = 0  # d
    search: Optional[SearchSpeed] = None  # on the first process
    busy_cores: float = 1.0  # that the model's computation takes in a process
    missing: str = ''  # why something was not measured


def measure(runner: Runner, settings: Settings, neighbor_hook: Optional[RefreshesNeighbors], num_images: int,
            cores: int, seconds: float) -> Measurements:
    """Make samples, rehearse steps, encode views and search, as ``survey`` says, on a machine of so many cores."""
    dataset: Any = runner.train_dataloader.dataset
    if has_quarantine := isinstance(dataset, Quarantining):  # its quarantine stays as it is
        dataset = copy.copy(dataset)
        dataset.quarantine = copy.deepcopy(dataset.quarantine)
        readable = dataset.quarantine.readable
    ids = np.random.default_rng(runner.seed).permutation(len(dataset))[:num_images].tolist()
    samples, load = load_samples(dataset, ids, _FOR_SAMPLES * seconds)
    unreadable = np.setdiff1d(readable, dataset.quarantine.readable).tolist() if has_quarantine else []
    device = next(runner.model.parameters()).device
    threads = torch.get_num_threads() if device.type == 'cpu' else 1
    measured = Measurements(
        samples=len(samples),
        unreadable=tuple(dataset.dataset.get_data_info(i).get('img_path', str(i)) for i in unreadable),
        load=load,
        busy_cores=min(threads, cores / min(runner.world_size, settings.local_processes)))
    if runner.distributed and not isinstance(runner.model, DistributedDataParallel):
        return replace(measured, missing=f'No step can be rehearsed of a {type(runner.model).__name__}.')
    ids = [sample_idx for sample_idx in ids if sample_idx not in unreadable]
    rehearsal: Optional[Rehearsal] = None
    try:
        rehearsal = Rehearsal(runner)
        return _rehearse(rehearsal, runner, settings, measured, samples, ids[:_VIEWS], neighbor_hook, seconds)
    except (RuntimeError, TypeError, AssertionError) as error:  # a GPU that is too small, a model not to be copied
        # The others may wait for this process in the middle of a step; a model that cannot be copied is so on all.
        if runner.distributed and (rehearsal or isinstance(error, torch.OutOfMemoryError)):
            raise
        return replace(measured, missing=f'No step could be rehearsed ({on_one_line(error)}).')
    finally:
        rehearsal = None  # the copy goes
        if device.type == 'cuda':  # the training gets all of the GPU's memory, and logs its own peak
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)


def _rehearse(rehearsal: Rehearsal, runner: Runner, settings: Settings, measured: Measurements, samples: list,
              ids: Sequence[int], neighbor_hook: Optional[RefreshesNeighbors], seconds: float) -> Measurements:
    """Add to ``measured`` what needs a copy of the model."""
    loader = runner.train_dataloader
    compute, activation_bytes = measure_steps(
        rehearsal, lambda number: loader.collate_fn([samples[i % len(samples)] for i in range(number)]),
        settings.batch_size, _FOR_STEPS * seconds)
    measured = replace(measured, compute=compute, activation_bytes=activation_bytes,
                       optimizer_bytes=rehearsal.optimizer_bytes())
    if neighbor_hook is None or settings.refresh is None:
        return measured
    single = SingleViews(loader.dataset.dataset, neighbor_hook.extraction.settings['pipeline'])
    views, load_view = load_samples(single, ids, seconds)
    batch: Any = collate_views(views)[0]
    encode, dim = measure_encoding(neighbor_hook.extraction.encode_by(rehearsal.model.eval()), batch, len(views))
    search = measure_search(dim, settings.refresh.num_neighbors) if dist.is_main_process() else None
    return replace(measured, load_view=load_view, encode=encode, dim=dim, search=search)


def load_samples(dataset: Dataset, ids: Sequence[int], seconds: float) -> tuple[list, float]:
    """As many samples as the time allows, three at least, and their median time, if possible without the first's."""
    samples: list[Any] = []
    times: list[float] = []
    stop = time.perf_counter() + seconds
    for sample_idx in ids:
        start = time.perf_counter()
        samples.append(dataset[sample_idx])
        times.append(time.perf_counter() - start)
        if len(samples) >= _FEWEST and time.perf_counter() > stop:
            break
    return samples, median(times[1:] or times)


def measure_encoding(encode: Callable[[dict], torch.Tensor], batch: dict, images: int) -> tuple[float, int]:
    """Seconds an image of an encoder from a batch of ``images`` to (B, d), and d."""
    times: list[float] = []
    for _ in range(_FEWEST):
        start = time.perf_counter()
        rows = encode(batch).float().cpu()  # brings the rows to the host, so that it also waits for the GPU
        times.append(time.perf_counter() - start)
    return median(times[1:]) / images, rows.shape[1]
