"""Anchors with one of their positives, over any MMEngine-style image dataset."""

from collections.abc import Sequence
from typing import Any, Optional, Union

from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.checks import check_list, check_whole
from clim_mm.errors import DataError, UnreadableImage
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import default_num_positives
from clim_mm.registry import DATASETS

from .landmarks import Landmarks
from .quarantine import Quarantine
from .run_pipeline import run_pipeline
from .sample_randomness import SampleRandomness
from .source import build_source

_MOST_SUBSTITUTES = 100


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
    - ``batch_rng``: one that draws the same for all samples of the batch, as a DataLoader asks for it in one process:
      by (seed, epoch, id of the batch's first sample). A sample asked for alone is a batch of one.
    - ``unreadable``: path and reason by id, of images that turned out to be unreadable on the way to this sample.

    The place of an unreadable image is taken by another image under that image's own id; an unreadable
    positive gives way to the next. Which ones depends on (seed, epoch, sample id) alone, not on when another
    process came upon the file.

    Args:
        dataset: The wrapped dataset, or its config.
        pipeline: Transforms, or their configs.
        num_positives: P, the most positives of one image; the paper's is 10 (A.2). None derives it from the set's
            size [ours].
        max_unreadable: Share of unreadable images with which the training stops [ours].

    Attributes:
        dataset: The wrapped dataset.
        table: The :class:`NeighborTable`, which ``CenterWiseNeighborHook`` publishes to.
        randomness: The :class:`SampleRandomness`, which ``EpochRandomnessHook`` starts at each epoch.
        quarantine: The :class:`Quarantine` of unreadable images.

    Raises:
        ConfigError: If a number is out of range.
        DataError: If the wrapped dataset's folder or list is missing or holds no image, or nothing can be read.
    """

    def __init__(self,
                 dataset: Union[dict, BaseDataset],
                 pipeline: Sequence,
                 num_positives: Optional[int] = None,
                 max_unreadable: float = 0.01) -> None:
        check_whole('num_positives of NeighborPairs', num_positives, least=1, optional=True)
        check_list('pipeline of NeighborPairs', pipeline)
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)
        self.table = NeighborTable(len(self), num_positives or default_num_positives(len(self)))
        self.randomness = SampleRandomness()
        self.quarantine = Quarantine(len(self), max_unreadable)
        self._landmarks = Landmarks(self.dataset)

    @property
    def metainfo(self) -> dict:
        """The wrapped dataset's."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, sample_idx: int) -> Any:
        return self._sample(sample_idx, first_of_batch=sample_idx)

    def __getitems__(self, sample_ids: Sequence[int]) -> list:
        """The samples of a batch; torch's DataLoader asks for them by this method."""
        return [self._sample(sample_idx, first_of_batch=sample_ids[0]) for sample_idx in sample_ids]

    def _sample(self, sample_idx: int, first_of_batch: int) -> Any:
        unreadable: dict[int, str] = {}
        sample = self._pair(sample_idx, first_of_batch, unreadable)
        if sample is not None:
            return sample
        with self.randomness.of(sample_idx) as rng:
            substitutes = rng.integers(len(self), size=_MOST_SUBSTITUTES).tolist()
        for substitute in substitutes:
            sample = self._pair(substitute, first_of_batch, unreadable)
            if sample is not None:
                return sample
        first = next(iter(unreadable.values()), 'known before').replace('\t', ': ')
        raise DataError(f'{_MOST_SUBSTITUTES} images in a row cannot be read (the first is {first}): mend the data '
                        'folder.')

    def _pair(self, sample_idx: int, first_of_batch: int, unreadable: dict[int, str]) -> Optional[Any]:
        """What the pipeline makes of an anchor, or None if the anchor is unreadable; notes what is."""
        anchor = self.dataset.get_data_info(sample_idx)
        while not self.quarantine.holds(sample_idx):
            with self.randomness.of(sample_idx) as rng:
                version = self.table.version
                positive_idx = self.table.draw(sample_idx, rng, excluded=self.quarantine.holds)
                has_positive = positive_idx >= 0
                results = dict(
                    anchor=dict(anchor),
                    positive=self.dataset.get_data_info(positive_idx if has_positive else sample_idx),
                    sample_idx=sample_idx,
                    positive_idx=positive_idx,
                    lam=0.0 if has_positive else 1.0,
                    table_version=version,
                    rng=rng,
                    batch_rng=self.randomness.of_batch(first_of_batch),
                    unreadable=dict(unreadable))
                try:
                    return run_pipeline(self.pipeline, results, sample_idx)
                except UnreadableImage as error:
                    if self._landmarks.have_returned(error):
                        continue
                    is_positive = has_positive and error.path != anchor['img_path']
                    culprit = positive_idx if is_positive else sample_idx
                    unreadable[culprit] = error.entry
            self.quarantine.mark(culprit)
        return None
