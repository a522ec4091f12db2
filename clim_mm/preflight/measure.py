"""How long the parts of a training take, from a few images and a few steps."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Optional

import torch
from mmengine import dist
from torch.utils.data import Dataset

from clim_mm.errors import UserError

from .estimates import images_that_fit
from .rehearsal import Rehearsal

_WARM_UP_IMAGES = 2
_MOST_STEPS = 5
# After the one that warms up, whose time is not that of the others: one alone would not show that the machine is busy.
_FEWEST = 2


@dataclass(frozen=True)
class Loading:
    """One worker's seconds for a sample, from ``samples`` of them."""

    samples: int
    seconds: float


@dataclass(frozen=True)
class Step:
    """A process's seconds for a batch of ``images``, the median of ``steps``.

    Attributes:
        images, steps, seconds: See above.
        slowest: Of the steps over the fastest; how much what else the machine does matters.
        optimizer_bytes: Of the optimizer's state.
        activation_bytes: Of ``images``, where a GPU tells, beside model, optimizer and gradients.
    """

    images: int
    steps: int
    seconds: float
    slowest: float
    optimizer_bytes: int
    activation_bytes: Optional[int] = None

    @property
    def seconds_per_image(self) -> float:
        """In proportion."""
        return self.seconds / self.images


def load_samples(dataset: Dataset, ids: Sequence[int], seconds: float, most: int = 8) -> tuple[list, Optional[Loading]]:
    """Make samples in this process, until there are ``most`` or the time is over.

    Args:
        dataset: Whose samples are wanted.
        ids: Of the samples, in this order.
        seconds: For all of them, about; the first and two more are made nevertheless.
        most: Samples.

    Returns:
        The samples, and the median time, which leaves out the first sample if there are more. None if none could be
        made.
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


def repeat_to(samples: Sequence, number: int) -> list:
    """``number`` samples, the same ones again and again if there are fewer."""
    return [samples[i % len(samples)] for i in range(number)]


def admissible_sizes(batch_size: int, processes: int, queue_len: Optional[int], queue_must_divide: bool) -> list[int]:
    """Images of a process with which a step can be measured, ascending: those that the queue takes.

    One image alone may have no batch statistics.
    """
    sizes = range(min(_WARM_UP_IMAGES, batch_size), batch_size + 1)
    if not queue_must_divide or queue_len is None:
        return list(sizes)
    return [size for size in sizes if queue_len % (size * processes) == 0]


def measure_steps(rehearsal: Rehearsal,
                  batch_of: Callable[[int], dict],
                  sizes: Sequence[int],
                  seconds: float) -> Step:
    """Time training steps on as much of a batch as the time and the GPU's memory allow.

    All processes call it together: they take the same steps, on the first one's decision.

    Args:
        rehearsal: Whose steps.
        batch_of: Gives a batch of as many images as asked for.
        sizes: Admissible numbers of images, ascending; the first is tried first.
        seconds: For all steps, about. The first step of a size is never the measure, and at least two are.
    """
    stop = time.perf_counter() + seconds
    images, batch = sizes[0], batch_of(sizes[0])
    _timed_step(rehearsal, batch)
    duration, activations = _timed_step(rehearsal, batch)
    times = [duration]
    # Steps of the new size: one to warm up, and those that are measured.
    fitting = _agreed(
        images_that_fit(sizes, duration / images, (stop - time.perf_counter()) / (1 + _FEWEST),
                        activations and activations / images, _free_gpu(rehearsal.device)))
    if fitting > images:
        images, batch, times = fitting, batch_of(fitting), []
        _timed_step(rehearsal, batch)
    while len(times) < _MOST_STEPS and _agreed(_goes_on(times, stop)):
        duration, activations = _timed_step(rehearsal, batch)
        times.append(duration)
    return Step(images, len(times), median(times), max(times) / min(times), rehearsal.optimizer_bytes(), activations)


def measure_encoding(encode: Callable[[dict], torch.Tensor], batch: dict, images: int,
                     seconds: float) -> tuple[float, int]:
    """Seconds an image of an encoder in evaluation mode, and d, the dimension of its features.

    Args:
        encode: From a batch to (B, d).
        batch: Of ``images``.
        images: B.
        seconds: For all runs, about; one to warm up and two that are measured are made nevertheless.
    """
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
    gradients = sum(p.numel() * p.element_size() for p in rehearsal.model.parameters() if p.requires_grad)
    return duration, max(1, torch.cuda.max_memory_allocated(rehearsal.device) - lay_there - gradients)


def _free_gpu(device: torch.device) -> Optional[float]:
    """Bytes that a step can have: nine tenths of what is free or torch's own to use again."""
    if device.type != 'cuda':
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return 0.9 * (torch.cuda.mem_get_info(device)[0] + unused)


def _agreed(value: Any) -> Any:
    """The first process's value, on all."""
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]
