"""Samples of single images, and of pairs of neighbours, drawn by (seed, epoch, id)."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any, Optional, Union

from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.checks import check_list, check_whole
from clim_mm.errors import DataError, UnreadableImage
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import default_num_positives
from clim_mm.registry import DATASETS

from .quarantine import Quarantine
from .sample_randomness import SampleRandomness
from .single_views import run_pipeline
from .source import build_source

_MOST_SUBSTITUTES = 100


@DATASETS.register_module()
class ImageSamples(Dataset):
    """Runs a pipeline on each image, exactly repeatable, and passes over unreadable ones.

    The pipeline receives the wrapped dataset's data info of the image, and beside it:

    - ``sample_idx``: the image's id, int.
    - ``rng``: a ``numpy.random.Generator`` of the sample's own. The global generators, from which the framework's
      transforms draw, are seeded alike.
    - ``batch_rng``: one that draws the same for all samples of the batch, as a DataLoader asks for it in one process:
      by (seed, epoch, id of the batch's first sample). A sample asked for alone is a batch of one.

    The place of an unreadable image is taken by another image under that image's own id. Which one depends on (seed,
    epoch, sample id) alone, not on when another process came upon the file. The ``data_samples`` of a packed sample
    get ``unreadable`` as meta info: path and reason by id, of images that turned out to be unreadable on the way.

    Args:
        dataset: The dataset that tells which images there are, or its config. Its own pipeline is not run.
        pipeline: Transforms, or their configs.
        max_unreadable: Share of unreadable images above which the training stops [ours].
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence, max_unreadable: float = 0.01) -> None:
        check_list(f'pipeline of {type(self).__name__}', pipeline)
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)
        self.randomness = SampleRandomness()  # EpochRandomnessHook starts each epoch
        self.quarantine = Quarantine(len(self), max_unreadable)

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

    def inputs_of(self, sample_idx: int, rng: Any) -> tuple[dict, list[int]]:
        """What a pipeline receives beside the generators, by draws of ``rng``; and the ids of the other images."""
        return dict(self.dataset.get_data_info(sample_idx), sample_idx=sample_idx), []

    def _sample(self, sample_idx: int, first_of_batch: int) -> Any:
        unreadable: dict[int, str] = {}
        sample = self._run(sample_idx, first_of_batch, unreadable)
        if sample is None:
            with self.randomness.of(sample_idx) as rng:
                substitutes = rng.integers(len(self), size=_MOST_SUBSTITUTES).tolist()
            samples = (self._run(substitute, first_of_batch, unreadable) for substitute in substitutes)
            sample = next((sample for sample in samples if sample is not None), None)
        if sample is None:
            first = next(iter(unreadable.values()), 'known before').replace('\t', ': ')
            raise DataError(f'{_MOST_SUBSTITUTES} images in a row cannot be read (the first is {first}): mend the data '
                            'folder.')
        return sample

    def _run(self, sample_idx: int, first_of_batch: int, unreadable: dict[int, str]) -> Optional[Any]:
        """What the pipeline makes of a sample, or None if its image is unreadable; notes what is."""
        while not self.quarantine.holds(sample_idx):
            with self.randomness.of(sample_idx) as rng:
                inputs, others = self.inputs_of(sample_idx, rng)
                results = dict(inputs, rng=rng, batch_rng=self.randomness.of_batch(first_of_batch))
                try:
                    sample = run_pipeline(self.pipeline, results, sample_idx)
                except UnreadableImage as error:
                    culprit = next((i for i in (sample_idx, *others)
                                    if self.dataset.get_data_info(i)['img_path'] == error.path), sample_idx)
                    unreadable[culprit] = error.entry
                else:
                    if unreadable and isinstance(sample, dict) and 'data_samples' in sample:
                        sample['data_samples'].set_metainfo(dict(unreadable=dict(unreadable)))
                    return sample
            self.quarantine.mark(culprit)
        return None


@DATASETS.register_module()
class NeighborPairs(ImageSamples):
    """:class:`ImageSamples` that pair each image with a positive from the neighbour table.

    Instead of one data info a pipeline receives, beside ``sample_idx``, ``rng`` and ``batch_rng``:

    - ``anchor``, ``positive``: data infos of the two images. An anchor without a positive is paired with itself.
    - ``positive_idx``: the positive's id, int; -1 for none.
    - ``other_positives``, ``other_idx``: of further positives, if several are drawn. An anchor that has fewer repeats
      them.
    - ``table_version``: int, of the table the positive was drawn from.

    An unreadable positive gives way to the next.

    Args:
        dataset, pipeline, max_unreadable: As for :class:`ImageSamples`.
        num_positives: P, the most positives of one image; the paper's is 10 (A.2). None derives it from the set's
            size [ours].
        num_drawn: Positives that each sample has. 1 [csml].
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence, num_positives: Optional[int] = None,
                 max_unreadable: float = 0.01, num_drawn: int = 1) -> None:
        check_whole('num_positives of NeighborPairs', num_positives, least=1, optional=True)
        check_whole('num_drawn of NeighborPairs', num_drawn, least=1)
        super().__init__(dataset, pipeline, max_unreadable)
        self.num_drawn = num_drawn
        # CenterWiseNeighborHook publishes to it.
        self.table = NeighborTable(len(self), num_positives or default_num_positives(len(self)))

    def inputs_of(self, sample_idx: int, rng: Any) -> tuple[dict, list[int]]:
        """The anchor and the positives that are drawn for it."""
        version = self.table.version
        drawn = self.table.draw_some(sample_idx, self.num_drawn, rng, excluded=self.quarantine.holds)
        ids = [*islice(cycle(drawn or [sample_idx]), self.num_drawn)]
        anchor, positive, *others = (self.dataset.get_data_info(i) for i in (sample_idx, *ids))
        inputs = dict(anchor=anchor, positive=positive, sample_idx=sample_idx, positive_idx=drawn[0] if drawn else -1,
                      table_version=version)
        if others:
            inputs.update(other_positives=others, other_idx=tuple(ids[1:]) if drawn else (-1, ) * len(others))
        return inputs, ids
