"""Unreadable images where all worker processes see them, and whether their disk is to blame."""

import errno
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from mmengine import dist
from mmengine.dataset import BaseDataset

from clim_mm.checks import check_number
from clim_mm.distributed import host_group
from clim_mm.errors import DataError, UnreadableImage
from clim_mm.storage import patiently

from .transforms.load_image import loader_of

_PROBES = 16  # files [ours]
_OF_THE_SYSTEM = frozenset(map(os.strerror, errno.errorcode))  # reasons
_THREADS = 8  # they wait for the disk as often as for a core


class Quarantine:
    """The ids of unreadable images, in shared memory, and in the process that trains their paths and reasons.

    Args:
        num_samples: N, the images of the training set.
        max_share: Of unreadable images, 0 to below 1; with more the training stops.

    Attributes:
        entries: Path and reason by id, divided by a tab.
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
        for sample_idx, entry in entries.items():
            if not isinstance(sample_idx, int) or not 0 <= sample_idx < len(self._held) or not isinstance(entry, str):
                raise ValueError(f'{sample_idx!r} is no id of {len(self._held)} images, or {entry!r} no entry.')
        self.add(entries)


class DiskProbe:
    """Some local files of an image dataset, readable now: single ones may vanish, all at once only with their disk."""

    def __init__(self, dataset: BaseDataset) -> None:
        ids = np.unique(np.linspace(0, len(dataset) - 1, _PROBES).astype(int)).tolist()
        paths = [str(dataset.get_data_info(i).get('img_path', '')) for i in ids]
        self._paths = [path for path in paths if os.access(path, os.R_OK)]

    def has_returned(self, error: UnreadableImage) -> bool:
        """Whether the disk was away when an image could not be read, and is back; StorageError after a minute."""
        if not isinstance(error.__cause__, OSError) or not self._paths or self._is_there():
            return False
        patiently(self._look, os.path.commonpath(map(os.path.abspath, self._paths)))
        return True

    def _is_there(self) -> bool:
        return any(os.access(path, os.R_OK) for path in self._paths)

    def _look(self) -> None:
        if not self._is_there():
            raise TimeoutError(f'not one of {len(self._paths)} images that were there can be read')


def readable_again(dataset: Any) -> list[int]:
    """The ids in an ImageSamples' quarantine whose files the system did not give, and gives now.

    Damaged images stay there as long as the run lasts.
    """
    load = loader_of(dataset)

    def is_read(sample_idx: int) -> bool:
        try:
            load(dict(dataset.dataset.get_data_info(sample_idx)))
        except UnreadableImage:
            return False
        return True

    ids = [sample_idx for sample_idx, entry in dataset.quarantine.entries.items()
           if entry.rpartition('\t')[2] in _OF_THE_SYSTEM]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [sample_idx for sample_idx, is_well in zip(ids, pool.map(is_read, ids), strict=True) if is_well]
