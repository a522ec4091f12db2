"""What is known of the images of a folder once they are embedded."""

import os.path as osp
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clim_mm.datasets import ImageFolder


@dataclass(frozen=True)
class Embeddings:
    """What is known of the n readable images of a folder, row by row.

    Attributes:
        source: The folder, as a dataset.
        ids: (n,) int64, ascending: the rows' places in it. n is less than its images if only some were embedded.
        vectors: (n, d) float32, L2-normalised.
        clusters: (n,) int32.
        neighbors: (n, k) int32, rows of the nearest others, nearest first; -1 = none.
        distances: (n, k) float32, 1 - cosine; NaN = none.
        recall: Share of the true neighbours among them, measured on a sample; 1 where each was compared with all.
        unreadable: Path and reason of each image that could not be read, divided by a tab.
        header: What the checkpoint tells of itself.
    """

    source: ImageFolder
    ids: np.ndarray
    vectors: np.ndarray
    clusters: np.ndarray
    neighbors: np.ndarray
    distances: np.ndarray
    recall: float
    unreadable: tuple[str, ...]
    header: dict[str, Any]

    @property
    def folder(self) -> str:
        """The folder."""
        return self.source.data_root

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The n paths below the folder."""
        root = osp.join(self.folder, '')
        return tuple(self.source.get_data_info(i)['img_path'].removeprefix(root) for i in self.ids.tolist())
