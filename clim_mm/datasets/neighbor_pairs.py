"""Anchors with one of their positives, over any MMEngine-style image dataset."""

from collections.abc import Sequence
from typing import Any, Optional, Union

from mmengine.dataset import BaseDataset

from clim_mm.checks import check_whole
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import default_num_positives
from clim_mm.registry import DATASETS

from .image_samples import ImageSamples


@DATASETS.register_module()
class NeighborPairs(ImageSamples):
    """:class:`ImageSamples` that pair each image with a positive from the neighbour table.

    Instead of one data info a pipeline receives, beside ``sample_idx``, ``rng`` and ``batch_rng``:

    - ``anchor``, ``positive``: the wrapped dataset's data info of the two images. An anchor without a
      positive is paired with itself.
    - ``positive_idx``: the positive's id, int; -1 for none.
    - ``table_version``: int, of the table the positive was drawn from.

    An unreadable positive gives way to the next.

    Args:
        dataset: The wrapped dataset, or its config.
        pipeline: Transforms, or their configs.
        num_positives: P, the most positives of one image; the paper's is 10 (A.2). None derives it from the set's
            size [ours].
        max_unreadable: Share of unreadable images above which the training stops [ours].

    Attributes:
        table: The :class:`NeighborTable`, which ``CenterWiseNeighborHook`` publishes to.
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence, num_positives: Optional[int] = None,
                 max_unreadable: float = 0.01) -> None:
        check_whole('num_positives of NeighborPairs', num_positives, least=1, optional=True)
        super().__init__(dataset, pipeline, max_unreadable)
        self.table = NeighborTable(len(self), num_positives or default_num_positives(len(self)))

    def inputs_of(self, sample_idx: int, rng: Any) -> tuple[dict, int]:
        """The anchor and a positive that is drawn for it."""
        version = self.table.version
        positive_idx = self.table.draw(sample_idx, rng, excluded=self.quarantine.holds)
        other_idx = positive_idx if positive_idx >= 0 else sample_idx
        infos = {name: self.dataset.get_data_info(i) for name, i in [('anchor', sample_idx), ('positive', other_idx)]}
        return dict(infos, sample_idx=sample_idx, positive_idx=positive_idx, table_version=version), other_idx
