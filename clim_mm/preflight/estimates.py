"""The arithmetic of a plan: steps and seconds. Nothing is measured here."""

import math
from collections.abc import Sequence
from typing import Optional


def steps_per_epoch(num_images: int, batch_size: int, processes: int, drop_last: bool, round_up: bool = True) -> int:
    """Batches that a process trains on in an epoch, under MMEngine's ``DefaultSampler``.

    Args:
        num_images: N.
        batch_size: Images of a process's batch.
        processes: How many share the images.
        drop_last: Whether an incomplete batch is left out.
        round_up: Whether the sampler repeats images so that all processes get as many.
    """
    of_a_process = math.ceil(num_images / processes) if round_up else num_images // processes
    return of_a_process // batch_size if drop_last else math.ceil(of_a_process / batch_size)


def optimizer_steps(steps: int, epochs: int, accumulation: int) -> int:
    """Steps of the optimizer in ``epochs`` of ``steps`` batches, ``accumulation`` batches to a step."""
    return math.ceil(steps / accumulation) * epochs


def refreshes_between(first_epoch: int, max_epochs: int, begin: int, interval: int) -> int:
    """Refreshes at the epochs ``begin``, ``begin + interval`` ... that are in ``first_epoch .. max_epochs - 1``."""
    due_before = [max(0, -((begin - epoch) // interval)) for epoch in (max_epochs, min(first_epoch, max_epochs))]
    return due_before[0] - due_before[1]


def pipelined_seconds(compute: float,
                      load: float,
                      batch_size: int,
                      num_workers: int,
                      cores: int,
                      processes: int,
                      busy_cores: float) -> float:
    """Seconds for a batch, when workers load the next ones meanwhile.

    The slowest counts: the model, the workers, or the cores, which all processes of the machine share.

    Args:
        compute: Seconds of the model on the batch.
        load: Seconds of one worker on one sample.
        batch_size: Samples in the batch.
        num_workers: Of a process; without any, loading and computing take turns.
        cores: Of the machine.
        processes: On the machine.
        busy_cores: That the model's computation keeps busy in a process.
    """
    loading = batch_size * load
    shared = processes * (compute * busy_cores + loading) / cores
    alone = max(compute, loading / num_workers) if num_workers else compute + loading
    return max(alone, shared)


def workers_needed(compute: float, load: float, batch_size: int) -> int:
    """Workers of a process that load as fast as the model computes."""
    return max(1, math.ceil(batch_size * load / compute))


def images_that_fit(sizes: Sequence[int],
                    seconds_per_image: float,
                    seconds: float,
                    bytes_per_image: Optional[float] = None,
                    free_bytes: Optional[float] = None) -> int:
    """The largest of ``sizes`` that stays within time and memory, or else the smallest.

    Args:
        sizes: Admissible numbers of images, ascending, at least one.
        seconds_per_image: Of a step.
        seconds: For a step.
        bytes_per_image: Of a step, if known.
        free_bytes: For a step, if known.
    """
    most = seconds / seconds_per_image
    if bytes_per_image and free_bytes is not None:
        most = min(most, free_bytes / bytes_per_image)
    return max((size for size in sizes if size <= most), default=sizes[0])


def kept_checkpoints(epochs: int, interval: float, keep: int) -> int:
    """Checkpoints that lie on the disk at most, one of them being written.

    Args:
        epochs: Of the training.
        interval: Epochs from one to the next; 0 or below writes only the last.
        keep: The most that are kept; below 1 keeps all.
    """
    written = max(1, math.ceil(epochs / interval)) if interval > 0 else 1
    return written if keep < 1 else min(written, keep + 1)
