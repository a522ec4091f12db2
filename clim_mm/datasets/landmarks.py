"""Whether a data set's disk is there at all: files that vanish one by one are missing, all at once they are not."""

import os

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.errors import UnreadableImage
from clim_mm.storage import patiently

_NUMBER = 16  # files [ours]


class Landmarks:
    """Some of a data set's files, spread over it, that could be read when this was made.

    Args:
        dataset: An MMEngine-style image dataset. Of one whose images are no local files nothing is known.
    """

    def __init__(self, dataset: BaseDataset) -> None:
        ids = np.unique(np.linspace(0, len(dataset) - 1, _NUMBER).astype(int)).tolist()
        paths = [str(dataset.get_data_info(i).get('img_path', '')) for i in ids]
        self._paths = list(filter(_is_readable, paths))

    def have_returned(self, error: UnreadableImage) -> bool:
        """Whether the disk was away when an image could not be read, and is there again now.

        Args:
            error: Of that image.

        Raises:
            StorageError: If not one of the files can be read for a minute.
        """
        if not isinstance(error.__cause__, OSError) or self._any_is_readable():
            return False
        patiently(self._look, os.path.commonpath(map(os.path.abspath, self._paths)))
        return True

    def _any_is_readable(self) -> bool:
        return not self._paths or any(map(_is_readable, self._paths))

    def _look(self) -> None:
        if not self._any_is_readable():
            raise TimeoutError(f'not one of {len(self._paths)} images that were there can be read')


def _is_readable(path: str) -> bool:
    return os.access(path, os.R_OK)
