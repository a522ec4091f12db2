"""Samples of single images, drawn by (seed, epoch, id), over any MMEngine-style image dataset."""

from collections.abc import Sequence
from typing import Any, Optional, Union

from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.checks import check_list
from clim_mm.errors import DataError, UnreadableImage
from clim_mm.registry import DATASETS

from .quarantine import DiskProbe, Quarantine
from .sample_randomness import SampleRandomness
from .single_views import run_pipeline
from .source import build_source

_MOST_SUBSTITUTES = 100


@DATASETS.register_module()
class ImageSamples(Dataset):
    """Runs a pipeline on each image, exactly repeatable, and passes over unreadable ones.

    The wrapped dataset only tells which images there are; its own pipeline is not run. A pipeline of this dataset
    receives the wrapped dataset's data info of the image, and beside it:

    - ``sample_idx``: the image's id, int.
    - ``rng``: a ``numpy.random.Generator`` of the sample's own. The global generators, from which the framework's
      transforms draw, are seeded alike.
    - ``batch_rng``: one that draws the same for all samples of the batch, as a DataLoader asks for it in one process:
      by (seed, epoch, id of the batch's first sample). A sample asked for alone is a batch of one.

    The place of an unreadable image is taken by another image under that image's own id. Which one depends on (seed,
    epoch, sample id) alone, not on when another process came upon the file. The ``data_samples`` of a packed sample
    get ``unreadable`` as meta info: path and reason by id, of images that turned out to be unreadable on the way.

    Args:
        dataset: The wrapped dataset, or its config.
        pipeline: Transforms, or their configs.
        max_unreadable: Share of unreadable images above which the training stops [ours].

    Attributes:
        dataset: The wrapped dataset.
        randomness: The :class:`SampleRandomness`, which ``EpochRandomnessHook`` starts at each epoch.
        quarantine: The :class:`Quarantine` of unreadable images.
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence, max_unreadable: float = 0.01) -> None:
        check_list(f'pipeline of {type(self).__name__}', pipeline)
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)
        self.randomness = SampleRandomness()
        self.quarantine = Quarantine(len(self), max_unreadable)
        self._disk = DiskProbe(self.dataset)

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

    def inputs_of(self, sample_idx: int, rng: Any) -> tuple[dict, int]:
        """What a pipeline receives of a sample beside the generators, and the id of the other image in it, or its own.

        ``rng`` is the sample's own generator.
        """
        return dict(self.dataset.get_data_info(sample_idx), sample_idx=sample_idx), sample_idx

    def _sample(self, sample_idx: int, first_of_batch: int) -> Any:
        unreadable: dict[int, str] = {}
        sample = self._run(sample_idx, first_of_batch, unreadable)
        if sample is not None:
            return sample
        with self.randomness.of(sample_idx) as rng:
            substitutes = rng.integers(len(self), size=_MOST_SUBSTITUTES).tolist()
        for substitute in substitutes:
            sample = self._run(substitute, first_of_batch, unreadable)
            if sample is not None:
                return sample
        first = next(iter(unreadable.values()), 'known before').replace('\t', ': ')
        raise DataError(f'{_MOST_SUBSTITUTES} images in a row cannot be read (the first is {first}): mend the data '
                        'folder.')

    def _run(self, sample_idx: int, first_of_batch: int, unreadable: dict[int, str]) -> Optional[Any]:
        """What the pipeline makes of a sample, or None if its image is unreadable; notes what is."""
        while not self.quarantine.holds(sample_idx):
            with self.randomness.of(sample_idx) as rng:
                inputs, other_idx = self.inputs_of(sample_idx, rng)
                results = dict(inputs, rng=rng, batch_rng=self.randomness.of_batch(first_of_batch))
                try:
                    sample = run_pipeline(self.pipeline, results, sample_idx)
                except UnreadableImage as error:
                    if self._disk.has_returned(error):
                        continue
                    is_own = error.path == self.dataset.get_data_info(sample_idx)['img_path']
                    culprit = sample_idx if is_own else other_idx
                    unreadable[culprit] = error.entry
                else:
                    if unreadable and isinstance(sample, dict) and 'data_samples' in sample:
                        sample['data_samples'].set_metainfo(dict(unreadable=dict(unreadable)))
                    return sample
            self.quarantine.mark(culprit)
        return None
