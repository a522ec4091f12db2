"""All that is measured before a training, within a given time."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import torch
from mmengine import dist
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel

from clim_mm.datasets import SingleViews, collate_views
from clim_mm.errors import ConfigError
from clim_mm.protocols import RefreshesNeighbors

from .image_sample import ImageSample, source_of, spread_ids
from .measure import Loading, Step, admissible_sizes, load_samples, measure_encoding, measure_steps, repeat_to
from .measure_search import SearchSpeed, measure_search
from .rehearsal import Rehearsal
from .settings import RefreshSettings, Settings

_FOR_SAMPLES, _FOR_STEPS, _FOR_VIEWS, _FOR_ENCODING = 0.2, 0.55, 0.1, 0.15  # shares of the time
_NO_MEMORY = 'The GPU\'s memory is too small for a copy of the model and a step of two images'


@dataclass(frozen=True)
class Extraction:
    """From ``images``: a worker's seconds for a view, the encoder's for an image, and d."""

    images: int
    load: float
    encode: float
    dim: int


@dataclass(frozen=True)
class Measurements:
    """What was measured; None for what was not.

    Attributes:
        loading, step, extraction, search: The parts of a training; ``search`` only on the first process.
        busy_cores: That the model's computation took in a process.
        missing: Why something was not measured; empty if everything was.
    """

    loading: Optional[Loading] = None
    step: Optional[Step] = None
    extraction: Optional[Extraction] = None
    search: Optional[SearchSpeed] = None
    busy_cores: float = 1.0
    missing: str = ''


def measure(runner: Runner,
            settings: Settings,
            images: Optional[ImageSample],
            neighbor_hook: Optional[RefreshesNeighbors],
            cores: int,
            seconds: float) -> Measurements:
    """Make samples, rehearse steps, encode views and search. All processes call it together.

    Args:
        runner: In ``before_train``.
        settings: Of its training.
        images: Those that were opened, if any were.
        neighbor_hook: Which refreshes the neighbours, if one does.
        cores: Of this machine.
        seconds: For all of it, about; each part is made once to warm up and twice to
            be measured nevertheless.

    Raises:
        ConfigError: If a GPU of several processes has no memory for two images.
        TrainingError: If the model's loss is not finite.
        MissingDependencyError: If faiss is needed and missing.
    """
    dataset = runner.train_dataloader.dataset
    # Readable ones: the dataset would put others into its quarantine, and the reason would be lost with the sample.
    ids = spread_ids(len(dataset), 8, runner.seed) if images is None else images.readable_ids
    samples, loading = load_samples(dataset, ids, _FOR_SAMPLES * seconds)
    fewest = torch.tensor(len(samples))
    dist.all_reduce(fewest, op='min')
    if loading is None or fewest == 0:
        return Measurements(missing='None of the images that were opened gives a sample.')
    device = next(runner.model.parameters()).device
    threads = torch.get_num_threads() if device.type == 'cpu' else 1
    measured = Measurements(
        loading=replace(loading, seconds=loading.seconds + _reading(images, 1 if neighbor_hook is None else 2)),
        busy_cores=min(threads, cores / min(runner.world_size, settings.local_processes)))
    if runner.distributed and not isinstance(runner.model, DistributedDataParallel):
        return replace(measured, missing=f'No step can be rehearsed of a {type(runner.model).__name__}.')
    try:
        return _rehearse(runner, settings, measured, samples, images, ids, neighbor_hook, seconds)
    except torch.OutOfMemoryError as error:
        if runner.distributed:  # the others may wait for this process in the middle of a step
            raise ConfigError(f'{_NO_MEMORY}: use a smaller model, or leave out the PreflightHook.') from error
        return replace(measured, missing=f'{_NO_MEMORY}.')
    finally:
        if device.type == 'cuda':  # the training gets all of the GPU's memory, and logs its own peak
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)


def _rehearse(runner: Runner, settings: Settings, measured: Measurements, samples: list, images: Optional[ImageSample],
              ids: Sequence[int], neighbor_hook: Optional[RefreshesNeighbors], seconds: float) -> Measurements:
    """Add to ``measured`` what needs a copy of the model."""
    try:
        rehearsal = Rehearsal(runner)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:  # NotImplementedError is a RuntimeError
        return replace(measured, missing=f'The model cannot be copied to rehearse a step ({error}).')
    collate = runner.train_dataloader.collate_fn
    sizes = admissible_sizes(settings.batch_size, runner.world_size, settings.queue_len, settings.queue_must_divide)
    if not sizes:
        return replace(measured, missing=f'No batch of {settings.model} fits its queue.')
    step = measure_steps(rehearsal, lambda number: collate(repeat_to(samples, number)), sizes, _FOR_STEPS * seconds)
    measured = replace(measured, step=step)
    if neighbor_hook is None or settings.refresh is None:
        return measured
    extraction = _extraction(runner, rehearsal, images, ids, neighbor_hook, seconds)
    return replace(measured, extraction=extraction, search=_search(extraction, settings.refresh))


def _extraction(runner: Runner, rehearsal: Rehearsal, images: Optional[ImageSample], ids: Sequence[int],
                neighbor_hook: RefreshesNeighbors, seconds: float) -> Optional[Extraction]:
    source = source_of(runner.train_dataloader.dataset)
    if source is None:
        return None
    pipeline = neighbor_hook.extraction.settings['pipeline']
    views, loading = load_samples(SingleViews(source, pipeline), ids, _FOR_VIEWS * seconds)
    if loading is None:
        return None
    batch, _ = collate_views(views)
    assert batch is not None, 'without a quarantine each sample is a view'
    model: Any = rehearsal.model.eval()
    encode, dim = measure_encoding(
        neighbor_hook.extraction.encode_by(model), batch, len(views), _FOR_ENCODING * seconds)
    return Extraction(len(views), loading.seconds + _reading(images, 1), encode, dim)


def _search(extraction: Optional[Extraction], refresh: RefreshSettings) -> Optional[SearchSpeed]:
    if extraction is None or not dist.is_main_process():
        return None
    return measure_search(extraction.dim, refresh.num_neighbors, refresh.exact)


def _reading(images: Optional[ImageSample], of_a_sample: int) -> float:
    """Seconds for the bytes of a sample's images: those that samples are made of were read when they were opened."""
    return 0.0 if images is None else of_a_sample * images.read_seconds
