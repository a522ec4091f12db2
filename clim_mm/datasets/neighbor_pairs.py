"""Anchors with one of their positives, over any MMEngine-style image dataset."""

from collections.abc import Sequence
from typing import Any, Union

from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.errors import ConfigError
from clim_mm.neighbors import NeighborTable
from clim_mm.registry import DATASETS

from .sample_randomness import SampleRandomness
from .source import build_source


@DATASETS.register_module()
class NeighborPairs(Dataset):
    """Pairs each image with a positive from the neighbour table.

    The wrapped dataset only tells which images there are; its own pipeline is not run. What a pipeline of
    this dataset receives for the sample id ``i``:

    - ``anchor``, ``positive``: the wrapped dataset's data info of the two images. An anchor without a
      positive is paired with itself.
    - ``sample_idx``, ``positive_idx``: their ids, int; ``positive_idx`` is -1 for none.
    - ``lam``: weight of the anchor's key in the loss, 1.0 for an anchor without a positive, so that the loss is
      MoCo's, else 0.0: without mixing the positive is pulled by a plain NCE [paper Table 6, "none"].
    - ``table_version``: int, of the table the positive was drawn from.
    - ``rng``: a ``numpy.random.Generator`` of the sample's own.

    Args:
        dataset: The wrapped dataset, or its config.
        pipeline: Transforms, or their configs.
        num_positives: P, the most positives of one image; the paper's is 10 (A.2).

    Attributes:
        dataset: The wrapped dataset.
        table: The :class:`NeighborTable`, which ``CenterWiseNeighborHook`` publishes to.
        randomness: The :class:`SampleRandomness`, which the same hook starts at each epoch.

    Raises:
        DataError: If the wrapped dataset's folder or list is missing or holds no image.
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence, num_positives: int = 10) -> None:
        if num_positives < 1:
            raise ConfigError(f'num_positives must be at least 1, not {num_positives}.')
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)
        self.table = NeighborTable(len(self.dataset), num_positives)
        self.randomness = SampleRandomness()

    @property
    def metainfo(self) -> dict:
        """The wrapped dataset's."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, sample_idx: int) -> Any:
        with self.randomness.of(sample_idx) as rng:
            version = self.table.version
            positive_idx = self.table.draw(sample_idx, rng)
            has_positive = positive_idx >= 0
            return self.pipeline(
                dict(
                    anchor=self.dataset.get_data_info(sample_idx),
                    positive=self.dataset.get_data_info(positive_idx if has_positive else sample_idx),
                    sample_idx=sample_idx,
                    positive_idx=positive_idx,
                    lam=0.0 if has_positive else 1.0,
                    table_version=version,
                    rng=rng))
