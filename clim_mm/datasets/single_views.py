"""One view of each image: what feature extraction reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.errors import UnreadableImage
from clim_mm.registry import DATASETS

from .disk_faults import DiskProbe
from .quarantine import Quarantine
from .run_pipeline import run_pipeline
from .source import build_source


@dataclass(frozen=True)
class NoView:
    """Stands for the view of an unreadable image, with its path and the reason; None if it was known before."""

    sample_idx: int
    entry: Optional[str] = None


@DATASETS.register_module()
class SingleViews(Dataset):
    """Runs a pipeline over each image of a dataset, under the image's own id.

    Unlike MMEngine's datasets it never replaces an image by another one, so that a feature belongs to the id
    it is stored under.

    Args:
        dataset: The wrapped dataset, or its config. Its own pipeline is not run.
        pipeline: Transforms, or their configs, that end with ``PackSelfSupInputs(algorithm_keys=['sample_idx'])``.
        quarantine: Where unreadable images are noted; a :class:`NoView` then stands in their place. Without one
            they raise.

    Raises:
        UnreadableImage: On reading one, if there is no quarantine.
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence,
                 quarantine: Optional[Quarantine] = None) -> None:
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)
        self.quarantine = quarantine
        self._disk = DiskProbe(self.dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, sample_idx: int) -> Any:
        if self.quarantine is None:
            return self._view(sample_idx)
        if self.quarantine.holds(sample_idx):
            return NoView(sample_idx)
        try:
            return self._view(sample_idx)
        except UnreadableImage as error:
            return self[sample_idx] if self._disk.has_returned(error) else NoView(sample_idx, error.entry)

    def _view(self, sample_idx: int) -> Any:
        return run_pipeline(self.pipeline, self.dataset.get_data_info(sample_idx), sample_idx)
