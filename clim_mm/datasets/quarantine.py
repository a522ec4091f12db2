"""Images that cannot be read, where all worker processes see them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine import dist

from clim_mm.checks import check_number
from clim_mm.distributed import host_group
from clim_mm.errors import DataError


class Quarantine:
    """The ids of unreadable images, in shared memory, and in the process that trains their paths and reasons.

    Args:
        num_samples: N, the images of the training set.
        max_share: Of unreadable images; with more the training stops.

    Attributes:
        entries: Path and reason by id, divided by a tab.

    Raises:
        ConfigError: If the share is not from 0 to below 1.
    """

    def __init__(self, num_samples: int, max_share: float = 0.01) -> None:
        check_number('max_unreadable', max_share, least=0, below=1)
        self._held = torch.zeros(num_samples, dtype=torch.bool).share_memory_()
        self._max_share = max_share
        self.entries: dict[int, str] = {}

    def __len__(self) -> int:
        return int(self._held.sum())

    def holds(self, sample_idx: int) -> bool:
        """Whether the image is known to be unreadable."""
        return bool(self._held[sample_idx])

    def mark(self, sample_idx: int) -> None:
        """Let every worker know that the image is unreadable; its entry follows with ``add``."""
        self._held[sample_idx] = True

    def add(self, entries: dict[int, str]) -> None:
        """Take up images; an entry that is there already stays."""
        for sample_idx, entry in entries.items():
            self.mark(sample_idx)
            self.entries.setdefault(sample_idx, entry)

    def share(self) -> None:
        """Give every process the images that any of them found unreadable. All processes call it together."""
        for entries in dist.all_gather_object(self.entries, group=host_group()):
            self.add(entries)

    def release(self, ids: Sequence[int]) -> None:
        """Let go of images whose files have been mended."""
        for sample_idx in ids:
            self._held[sample_idx] = False
            self.entries.pop(sample_idx, None)

    @property
    def readable(self) -> np.ndarray:
        """(n,) int64 ids of the images that are not held, ascending."""
        return torch.nonzero(~self._held).flatten().numpy()

    def check(self) -> None:
        """Stop if too much of the training set is unreadable.

        Raises:
            DataError: If more than ``max_share`` of the images are held.
        """
        held, total = len(self), len(self._held)
        if held / total > self._max_share:
            first = ': '.join(self.entries[min(self.entries)].split('\t')) if self.entries else 'unknown'
            raise DataError(f'{held} of {total} images cannot be read (the first is {first}), more than the share of '
                            f'{self._max_share} that max_unreadable of the training set admits: see quarantine.txt in '
                            'the work dir, and mend the data folder or raise that share.')

    def listing(self) -> str:
        """One line an image: id, path and reason, divided by tabs, in the order of the ids."""
        return ''.join(f'{sample_idx}\t{entry}\n' for sample_idx, entry in sorted(self.entries.items()))

    def state_dict(self) -> dict[str, Any]:
        """The quarantine as a checkpoint holds it."""
        return dict(ids=list(self.entries), entries=list(self.entries.values()))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave.

        Raises:
            ValueError: If it cannot be of a set of this size.
        """
        entries = dict(zip(state['ids'], state['entries'], strict=True))
        for sample_idx, entry in entries.items():
            if not isinstance(sample_idx, int) or not 0 <= sample_idx < len(self._held) or not isinstance(entry, str):
                raise ValueError(f'{sample_idx!r} is no id of {len(self._held)} images, or {entry!r} no entry.')
        self.add(entries)
