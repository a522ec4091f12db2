"""Images for which their disk is to blame: it was away when they were read, or did not give them."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.errors import UnreadableImage
from clim_mm.storage import patiently

from .transforms.load_image import loader_of

_PROBES = 16  # files [ours]
_OF_THE_SYSTEM = frozenset(map(os.strerror, errno.errorcode))  # reasons
_THREADS = 8  # they wait for the disk as often as for a core


class DiskProbe:
    """Some local files of a data set, spread over it: single ones may vanish, all at once only with their disk.

    Args:
        dataset: An MMEngine-style image dataset. Those files count that can be read now.
    """

    def __init__(self, dataset: BaseDataset) -> None:
        ids = np.unique(np.linspace(0, len(dataset) - 1, _PROBES).astype(int)).tolist()
        paths = [str(dataset.get_data_info(i).get('img_path', '')) for i in ids]
        self._paths = [path for path in paths if os.access(path, os.R_OK)]

    def has_returned(self, error: UnreadableImage) -> bool:
        """Whether the disk was away when an image could not be read, and is there again now.

        Raises:
            StorageError: If not one of the files can be read for a minute.
        """
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
    """The ids of images in a NeighborPairs' quarantine that the system did not give, and gives now.

    Images that were damaged stay there as long as the run lasts.

    Raises:
        StorageError: If the disk or the network fails for a minute.
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
