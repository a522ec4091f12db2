"""Training steps that leave no trace: on a copy of the model, with an optimizer that is thrown away."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, Optional

import torch
from mmengine import dist
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from clim_mm.datasets.sample_randomness import GlobalRandomness
from clim_mm.distributed import unwrapped
from clim_mm.protocols import Advances

_WARM_UP_IMAGES = 2  # of one image there may be no batch statistics
_STEPS = 3  # that are measured


class Rehearsal:
    """A copy of a Runner's model with its optimizer, which trains as the model would; all processes copy together.

    The copy's learning rate is 0: a step takes as long, and no rate can make the loss infinite.

    Attributes:
        model: The copy, without a wrapper.
        device: Where it is.
    """

    def __init__(self, runner: Runner) -> None:
        # Copied together, so that the optimizer's copy holds the parameters of the model's copy.
        self.model, optimizer = copy.deepcopy((unwrapped(runner), runner.optim_wrapper.optimizer))
        vars(self.model).pop('train_step', None)  # a compiled one would be the original's
        if isinstance(self.model, Advances):
            self.model.advance_after_loss = True  # no hook ends its steps
        for group in optimizer.param_groups:
            group['lr'] = 0.0
        self.device = next(self.model.parameters()).device
        self._optim_wrapper = OptimWrapper(optimizer)  # without the scaler, clipping and accumulation of the original
        self._optim_wrapper.optim_context = runner.optim_wrapper.optim_context  # type: ignore[method-assign]
        self._wrapped: Any = self.model
        if runner.distributed:
            self._wrapped = runner.wrap_model(copy.deepcopy(runner.cfg.get('model_wrapper_cfg')), self.model)
        self._wrapped.train()

    def step(self, batch: dict) -> tuple[float, Optional[int]]:
        """Train on a batch as a DataLoader gives it, together with the other processes.

        Returns:
            Seconds, and the bytes of the activations where a GPU tells.
        """
        on_gpu = self.device.type == 'cuda'
        if on_gpu:
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            lay_there = torch.cuda.memory_allocated(self.device)
        start = time.perf_counter()
        self._wrapped.train_step(batch, optim_wrapper=self._optim_wrapper)
        if not on_gpu:
            return time.perf_counter() - start, None
        torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - start
        gradients = sum(parameter.nbytes for parameter in self.model.parameters() if parameter.requires_grad)
        return seconds, max(1, torch.cuda.max_memory_allocated(self.device) - lay_there - gradients)

    def optimizer_bytes(self) -> int:
        """Bytes of the optimizer's state, which is there after a step."""
        states = self._optim_wrapper.optimizer.state.values()
        return sum(value.nbytes for state in states for value in state.values() if torch.is_tensor(value))


def measure_steps(rehearsal: Rehearsal, batch_of: Callable[[int], dict], batch_size: int,
                  seconds: float) -> tuple[float, Optional[float]]:
    """Time training steps on two to ``batch_size`` images, as many as the time and the GPU's memory allow.

    All processes call it together: they take the same steps, on the first one's decision. The first step of a size is
    never the measure. ``seconds`` are for all steps, about.

    Returns:
        Seconds and bytes of activations for an image; None for these on the CPU.
    """
    stop, fewest = time.perf_counter() + seconds, min(_WARM_UP_IMAGES, batch_size)
    rehearsal.step(batch_of(fewest))
    duration, activations = rehearsal.step(batch_of(fewest))
    fitting = (stop - time.perf_counter()) / (1 + _STEPS) / (duration / fewest)
    if activations is not None:  # on nine tenths of what is free
        fitting = min(fitting, 0.9 * torch.cuda.mem_get_info(rehearsal.device)[0] / (activations / fewest))
    of_first = [min(max(int(fitting), fewest), batch_size)]
    dist.broadcast_object_list(of_first)
    images, = of_first
    batch, durations = batch_of(images), []
    if images > fewest:
        rehearsal.step(batch)
    for _ in range(_STEPS):
        duration, activations = rehearsal.step(batch)
        durations.append(duration)
    return median(durations) / images, None if activations is None else activations / images


@contextmanager
def untouched_randomness(device: torch.device) -> Iterator[None]:
    """Put the generators of ``random``, numpy and torch, on the CPU and on ``device``, back to where they were."""
    before = GlobalRandomness.now()
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        try:
            yield
        finally:
            before.restore()
