"""Unreadable images where all worker processes see them."""

import errno
import os
from typing import Any

import numpy as np
import torch
from mmengine import dist

from clim_mm.checks import check_number
from clim_mm.distributed import host_group
from clim_mm.errors import DataError

_OF_THE_SYSTEM = frozenset(map(os.strerror, errno.errorcode))  # reasons


class Quarantine:
    """The ids of unreadable images, in shared memory, and in the process that trains their paths and reasons.

    Args:
        num_samples: Images of the training set.
        max_share: Share of unreadable images, 0 to below 1, above which the training stops.
    """

    def __init__(self, num_samples: int, max_share: float = 0.01) -> None:
        check_number('max_unreadable', max_share, least=0, below=1)
        self._held = torch.zeros(num_samples, dtype=torch.bool).share_memory_()
        self._max_share = max_share
        self.entries: dict[int, str] = {}  # path and reason by id, divided by a tab

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

    def release_missing(self) -> int:
        """Let go of images that the system did not give, and give their number; damaged ones stay."""
        ids = [sample_idx for sample_idx, entry in self.entries.items() if entry.rpartition('\t')[2] in _OF_THE_SYSTEM]
        for sample_idx in ids:
            self._held[sample_idx] = False
            del self.entries[sample_idx]
        return len(ids)

    @property
    def readable(self) -> np.ndarray:
        """(n,) int64 ids of the images that are not held, ascending."""
        return torch.nonzero(~self._held).flatten().numpy()

    def check(self) -> None:
        """Raise DataError if more than ``max_share`` of the images are unreadable."""
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
        """Restore what ``state_dict`` gave; ValueError if it cannot be of a set of this size."""
        entries = dict(zip(state['ids'], state['entries'], strict=True))
        if not all(isinstance(i, int) and 0 <= i < len(self._held) and isinstance(entries[i], str) for i in entries):
            raise ValueError(f'These are no ids of {len(self._held)} images, or no entries.')
        self.add(entries)
