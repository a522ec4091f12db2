"""Randomness by (seed, epoch, sample id)."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

_OF_A_BATCH = 1  # sets its stream apart from the sample's


class GlobalRandomness(NamedTuple):
    """States of the global generators of ``random``, numpy and torch (on the CPU)."""

    of_python: Any
    of_numpy: Any
    of_torch: torch.Tensor

    @classmethod
    def now(cls) -> 'GlobalRandomness':
        """The states now."""
        return cls(random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state())

    def restore(self) -> None:
        """Put them back to here."""
        random.setstate(self.of_python)
        np.random.set_state(self.of_numpy)
        torch.set_rng_state(self.of_torch)


class SampleRandomness:
    """Makes what happens to a sample depend on (seed, epoch, sample id) alone: not on workers or a restart."""

    def __init__(self) -> None:
        # In shared memory, so that persistent workers see a new epoch.
        self._seed_and_epoch = torch.zeros(2, dtype=torch.int64).share_memory_()

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Set the training's seed and the epoch, counted from 0. Call it before the epoch's first sample."""
        self._seed_and_epoch.copy_(torch.tensor([seed, epoch]))

    @contextmanager
    def of(self, sample_idx: int) -> Iterator[np.random.Generator]:
        """Give the sample's generator, and seed the global ones, which the framework's transforms take, meanwhile."""
        seed, epoch = self._seed_and_epoch.tolist()
        sequence = np.random.SeedSequence((seed, epoch, sample_idx))
        python_seed, numpy_seed, torch_seed = sequence.generate_state(3).tolist()
        before = GlobalRandomness.now()
        try:
            random.seed(python_seed)
            np.random.seed(numpy_seed)
            torch.default_generator.manual_seed(torch_seed)
            yield np.random.default_rng(sequence)
        finally:
            before.restore()

    def of_batch(self, first_idx: int) -> np.random.Generator:
        """A new generator that draws the same for all samples of a batch, by the id of the batch's first sample."""
        seed, epoch = self._seed_and_epoch.tolist()
        return np.random.default_rng(np.random.SeedSequence((seed, epoch, first_idx), spawn_key=(_OF_A_BATCH, )))
