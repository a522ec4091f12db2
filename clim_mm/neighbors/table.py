"""The neighbour table: every image's positives, where all worker processes see each refresh."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch


class NeighborTable:
    """Positives of N samples, at most P each, in shared memory, with a version.

    Create it before the DataLoader's workers start. Whether they are forked or spawned, they then read the
    memory that ``publish`` writes; persistent workers too.
    """

    def __init__(self, num_samples: int, num_positives: int) -> None:
        self._positives = torch.full((num_samples, num_positives), -1, dtype=torch.int32).share_memory_()
        self._version = torch.zeros(1, dtype=torch.int64).share_memory_()

    @staticmethod
    def bytes_of(num_samples: int, num_positives: int) -> int:
        """What it takes of one process's memory, and of a checkpoint."""
        return num_samples * num_positives * torch.int32.itemsize

    @property
    def version(self) -> int:
        """How many times the table was published; 0 means that no image has positives yet."""
        return int(self._version)

    @property
    def num_positives(self) -> int:
        """P, the most positives of one image."""
        return self._positives.shape[1]

    @property
    def positives(self) -> np.ndarray:
        """A read-only view of the (N, P) int32 positives, -1 = none."""
        view = self._positives.numpy()
        view.flags.writeable = False
        return view

    def publish(self, positives: np.ndarray) -> None:
        """Replace all rows by (N, P) int32, -1 = none, and count the version up. Between epochs: no worker draws."""
        self._write(positives)
        self._version += 1

    def draw_some(self, sample_idx: int, number: int, rng: np.random.Generator,
                  excluded: Callable[[int], bool] = lambda _: False) -> list[int]:
        """Different positives of the sample, drawn uniformly: ``number``, or as many as it has.

        Those for which ``excluded`` is true are passed over: the draw is the same whether they are known before it
        or found out one by one.
        """
        row = self._positives[sample_idx].numpy()
        in_order = rng.permutation(row[row >= 0]).tolist()
        return [*islice((positive for positive in in_order if not excluded(positive)), number)]

    def state_dict(self) -> dict[str, Any]:
        """Plain tensors, copied out of shared memory."""
        return dict(positives=self._positives.clone(), version=self._version.clone())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave; a state of another size or with other numbers is a ValueError."""
        positives, version = state['positives'], state['version']
        if positives.dtype != torch.int32 or version.dtype != torch.int64 or version.shape != (1, ) or version < 0:
            raise ValueError(f'A table has int32 positives and one version, not {positives.dtype} and {version}.')
        self._write(positives.cpu().numpy())
        self._version.copy_(version)

    def _write(self, positives: np.ndarray) -> None:
        if positives.shape != tuple(self._positives.shape):
            raise ValueError(f'The table has {len(self._positives)} samples with {self._positives.shape[1]} positives '
                             f'each, but what is to be written has shape {positives.shape}.')
        if positives.min() < -1 or positives.max() >= len(self._positives):
            raise ValueError(f'Positives must be ids from 0 to {len(self._positives) - 1} or -1, but range from '
                             f'{positives.min()} to {positives.max()}.')
        self._positives.copy_(torch.from_numpy(positives.astype(np.int32)))
