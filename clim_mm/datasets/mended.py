"""Which images of a quarantine can be read after all, when a run goes on: their disk was to blame, not they."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mmengine.dataset import Compose

from clim_mm.errors import UnreadableImage

from .image_samples import ImageSamples
from .transforms import LoadImage, PairViews

_OF_THE_SYSTEM = frozenset(map(os.strerror, errno.errorcode))  # reasons
_THREADS = 8  # they wait for the disk as often as for a core


def mended(dataset: ImageSamples) -> list[int]:
    """The ids of the images in the dataset's quarantine that the system did not give, and gives now.

    Images that were damaged stay there as long as the run lasts.

    Raises:
        StorageError: If the disk or the network fails for a minute.
    """
    load = next(_loaders(dataset.pipeline), LoadImage())

    def is_read(sample_idx: int) -> bool:
        try:
            load(dict(dataset.dataset.get_data_info(sample_idx)))
        except UnreadableImage:
            return False
        return True

    ids = [sample_idx for sample_idx, entry in dataset.quarantine.entries.items()
           if entry.rpartition('\t')[2] in _OF_THE_SYSTEM]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [sample_idx for sample_idx, well in zip(ids, pool.map(is_read, ids), strict=True) if well]


def _loaders(pipeline: Compose) -> Iterator[LoadImage]:
    for transform in pipeline.transforms:
        if isinstance(transform, PairViews):
            yield from _loaders(transform.load)
        elif isinstance(transform, LoadImage):
            yield transform
