"""Training steps that leave no trace: on a copy of the model, with an optimizer that is thrown away."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from clim_mm.datasets.sample_randomness import GlobalRandomness
from clim_mm.distributed import unwrapped
from clim_mm.protocols import HasQueues


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
        if isinstance(self.model, HasQueues):
            self.model.advance_after_loss = True  # no hook lets its keys enter the queue
        for group in optimizer.param_groups:
            group['lr'] = 0.0
        self.device = next(self.model.parameters()).device
        self._optim_wrapper = OptimWrapper(optimizer)  # without the scaler, clipping and accumulation of the original
        self._optim_wrapper.optim_context = runner.optim_wrapper.optim_context  # type: ignore[method-assign]
        self._wrapped: Any = self.model
        if runner.distributed:
            self._wrapped = runner.wrap_model(copy.deepcopy(runner.cfg.get('model_wrapper_cfg')), self.model)
        self._wrapped.train()

    def step(self, batch: dict) -> None:
        """Train on a batch as a DataLoader gives it, together with the other processes."""
        self._wrapped.train_step(batch, optim_wrapper=self._optim_wrapper)

    def optimizer_bytes(self) -> int:
        """Of the optimizer's state, which is there after a step."""
        states = self._optim_wrapper.optimizer.state.values()
        return sum(value.nbytes for state in states for value in state.values() if torch.is_tensor(value))


@contextmanager
def untouched_randomness(device: torch.device) -> Iterator[None]:
    """Put the generators of ``random``, numpy and torch, on the CPU and on ``device``, back to where they were."""
    before = GlobalRandomness.now()
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        try:
            yield
        finally:
            before.restore()
