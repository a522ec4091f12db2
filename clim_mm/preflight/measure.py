"""How long the parts of a training take, from a few images and a few steps."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Optional

import torch
from mmengine import dist
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from clim_mm.datasets import SingleViews, collate_views
from clim_mm.errors import ConfigError, UserError
from clim_mm.neighbors.refresh_cost import SearchSpeed, measure_search
from clim_mm.protocols import KeepsQueues, RefreshesNeighbors

from .image_sample import ImageSample, spread_ids
from .rehearsal import Rehearsal
from .settings import Settings

_FOR_SAMPLES, _FOR_STEPS, _FOR_VIEWS, _FOR_ENCODING = 0.2, 0.55, 0.1, 0.15  # shares of the time
_MOST_SAMPLES, _MOST_STEPS, _WARM_UP_IMAGES = 8, 5, 2  # of one image there may be no batch statistics
_FEWEST = 2  # measured after the one that warms up: one alone would not show that the machine is busy
_NO_MEMORY = 'The GPU\'s memory is too small for a copy of the model and a step of two images'


@dataclass(frozen=True)
class Loading:
    """One worker's seconds for a sample, the median of ``samples``."""

    samples: int
    seconds: float


@dataclass(frozen=True)
class Step:
    """A process's seconds for a batch of ``images``, the median of ``steps``."""

    images: int
    steps: int
    seconds: float
    slowest: float  # of the steps over the fastest
    optimizer_bytes: int
    activation_bytes: Optional[int] = None  # of ``images``, where a GPU tells

    @property
    def seconds_per_image(self) -> float:
        """In proportion."""
        return self.seconds / self.images


@dataclass(frozen=True)
class Extraction:
    """From ``images``: a worker's seconds for a view, the encoder's for an image, and d."""

    images: int
    load: float
    encode: float
    dim: int


@dataclass(frozen=True)
class Measurements:
    """What was measured; None for what was not, and ``search`` on all processes but the first."""

    loading: Optional[Loading] = None
    step: Optional[Step] = None
    extraction: Optional[Extraction] = None
    search: Optional[SearchSpeed] = None
    busy_cores: float = 1.0  # that the model's computation took in a process
    missing: str = ''  # why something was not measured


def measure(runner: Runner, settings: Settings, images: Optional[ImageSample],
            neighbor_hook: Optional[RefreshesNeighbors], cores: int, seconds: float) -> Measurements:
    """Make samples, rehearse steps, encode views and search, as ``survey`` says, on a machine of so many cores."""
    dataset = runner.train_dataloader.dataset
    # Readable ones: the dataset would put others into its quarantine, and the reason would be lost with the sample.
    ids = spread_ids(len(dataset), _MOST_SAMPLES, runner.seed) if images is None else images.readable_ids
    samples, loading = load_samples(dataset, ids, _FOR_SAMPLES * seconds)
    fewest = torch.tensor(len(samples))
    dist.all_reduce(fewest, op='min')
    if loading is None or fewest == 0:
        return Measurements(missing='None of the images that were opened gives a sample.')
    device = next(runner.model.parameters()).device
    threads = torch.get_num_threads() if device.type == 'cpu' else 1
    # The bytes of the samples' images were read before, when the images were opened.
    reading = images.read_seconds if images is not None else 0.0
    measured = Measurements(
        loading=replace(loading, seconds=loading.seconds + reading * (1 if neighbor_hook is None else 2)),
        busy_cores=min(threads, cores / min(runner.world_size, settings.local_processes)))
    if runner.distributed and not isinstance(runner.model, DistributedDataParallel):
        return replace(measured, missing=f'No step can be rehearsed of a {type(runner.model).__name__}.')
    try:
        return _rehearse(runner, settings, measured, samples, ids, neighbor_hook, reading, seconds)
    except torch.OutOfMemoryError as error:
        if runner.distributed:  # the others may wait for this process in the middle of a step
            raise ConfigError(f'{_NO_MEMORY}: use a smaller model, or leave out the PreflightHook.') from error
        return replace(measured, missing=f'{_NO_MEMORY}.')
    finally:
        if device.type == 'cuda':  # the training gets all of the GPU's memory, and logs its own peak
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)


def _rehearse(runner: Runner, settings: Settings, measured: Measurements, samples: list, ids: Sequence[int],
              neighbor_hook: Optional[RefreshesNeighbors], reading: float, seconds: float) -> Measurements:
    """Add to ``measured`` what needs a copy of the model, which is gone afterwards."""
    try:
        rehearsal = Rehearsal(runner)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:  # NotImplementedError is a RuntimeError
        return replace(measured, missing=f'The model cannot be copied to rehearse a step ({error}).')
    loader, model, most = runner.train_dataloader, rehearsal.model, settings.batch_size
    # A queue of mmselfsup's own takes nothing but whole batches.
    whole = hasattr(model, 'queue_ptr') and not isinstance(model, KeepsQueues)
    step = measure_steps(
        rehearsal, lambda number: loader.collate_fn([samples[i % len(samples)] for i in range(number)]),
        most if whole else min(_WARM_UP_IMAGES, most), most, _FOR_STEPS * seconds)
    measured = replace(measured, step=step)
    if neighbor_hook is None or settings.refresh is None:
        return measured
    views, loading = load_samples(
        SingleViews(loader.dataset.dataset, neighbor_hook.extraction.settings['pipeline']), ids, _FOR_VIEWS * seconds)
    if loading is None:
        return measured
    batch: Any = collate_views(views)[0]
    encode, dim = measure_encoding(
        neighbor_hook.extraction.encode_by(model.eval()), batch, len(views), _FOR_ENCODING * seconds)
    search = None
    if dist.is_main_process():
        search = measure_search(dim, settings.refresh.num_neighbors)
    return replace(measured, extraction=Extraction(len(views), loading.seconds + reading, encode, dim), search=search)


def load_samples(dataset: Dataset, ids: Sequence[int], seconds: float,
                 most: int = _MOST_SAMPLES) -> tuple[list, Optional[Loading]]:
    """Make samples in this process, until there are ``most`` or the time is over; three are made nevertheless.

    Returns:
        The samples, and the median time, without the first sample's if there are more; None if none could be made.
    """
    samples: list[Any] = []
    times: list[float] = []
    stop = time.perf_counter() + seconds
    for sample_idx in ids:
        start = time.perf_counter()
        try:
            samples.append(dataset[sample_idx])
        except UserError:
            continue
        times.append(time.perf_counter() - start)
        if len(samples) == most or not _goes_on(times[1:], stop):
            break
    times = times[1:] or times
    return samples, Loading(len(times), median(times)) if times else None


def measure_steps(rehearsal: Rehearsal, batch_of: Callable[[int], dict], fewest: int, most: int,
                  seconds: float) -> Step:
    """Time training steps on ``fewest`` to ``most`` images, as many as the time and the GPU's memory allow.

    All processes call it together: they take the same steps, on the first one's decision. The first step of a size is
    never the measure, and at least two are. ``seconds`` are for all steps, about.
    """
    stop = time.perf_counter() + seconds
    images, batch = fewest, batch_of(fewest)
    _timed_step(rehearsal, batch)
    duration, activations = _timed_step(rehearsal, batch)
    times = [duration]
    # Steps of the new size: one to warm up, and those that are measured.
    fitting = (stop - time.perf_counter()) / (1 + _FEWEST) / (duration / images)
    if activations is not None:  # nine tenths of what is free or torch's own to use again
        unused = torch.cuda.memory_reserved(rehearsal.device) - torch.cuda.memory_allocated(rehearsal.device)
        free = 0.9 * (torch.cuda.mem_get_info(rehearsal.device)[0] + unused)
        fitting = min(fitting, free / (activations / images))
    fitting = _agreed(min(max(int(fitting), fewest), most))
    if fitting > images:
        images, batch, times = fitting, batch_of(fitting), []
        _timed_step(rehearsal, batch)
    while len(times) < _MOST_STEPS and _agreed(_goes_on(times, stop)):
        duration, activations = _timed_step(rehearsal, batch)
        times.append(duration)
    return Step(images, len(times), median(times), max(times) / min(times), rehearsal.optimizer_bytes(), activations)


def measure_encoding(encode: Callable[[dict], torch.Tensor], batch: dict, images: int,
                     seconds: float) -> tuple[float, int]:
    """Seconds an image of an encoder from a batch of ``images`` to (B, d), and d; it runs three times at least."""
    stop = time.perf_counter() + seconds
    times: list[float] = []
    while len(times) <= _MOST_STEPS and _goes_on(times[1:], stop):
        start = time.perf_counter()
        rows = encode(batch).float().cpu()  # brings the rows to the host, so that it also waits for the GPU
        times.append(time.perf_counter() - start)
    return median(times[1:]) / images, rows.shape[1]


def _goes_on(times: Sequence[float], stop: float) -> bool:
    """Whether one more is measured after ``times``."""
    return len(times) < _FEWEST or times[-1] < stop - time.perf_counter()


def _timed_step(rehearsal: Rehearsal, batch: dict) -> tuple[float, Optional[int]]:
    """Seconds of a step, and the bytes of its activations where a GPU tells."""
    if rehearsal.device.type != 'cuda':
        start = time.perf_counter()
        rehearsal.step(batch)
        return time.perf_counter() - start, None
    torch.cuda.synchronize(rehearsal.device)
    torch.cuda.reset_peak_memory_stats(rehearsal.device)
    lay_there, start = torch.cuda.memory_allocated(rehearsal.device), time.perf_counter()
    rehearsal.step(batch)
    torch.cuda.synchronize(rehearsal.device)
    duration = time.perf_counter() - start
    gradients = sum(p.nbytes for p in rehearsal.model.parameters() if p.requires_grad)
    return duration, max(1, torch.cuda.max_memory_allocated(rehearsal.device) - lay_there - gradients)


def _agreed(value: Any) -> Any:
    """The first process's value, on all."""
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]
