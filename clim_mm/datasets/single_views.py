"""One view of each image: what feature extraction reads."""

from collections.abc import Sequence
from typing import Any, Union

from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.registry import DATASETS

from .source import build_source


@DATASETS.register_module()
class SingleViews(Dataset):
    """Runs a pipeline over each image of a dataset, under the image's own id.

    Unlike MMEngine's datasets it never replaces an image by another one, so that a feature belongs to the id
    it is stored under.

    Args:
        dataset: The wrapped dataset, or its config. Its own pipeline is not run.
        pipeline: Transforms, or their configs, that end with ``PackSelfSupInputs(algorithm_keys=['sample_idx'])``.
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence) -> None:
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, sample_idx: int) -> Any:
        return self.pipeline(self.dataset.get_data_info(sample_idx))
