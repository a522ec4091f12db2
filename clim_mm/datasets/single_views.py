"""One view of each image, as feature extraction reads them; how a pipeline is run on an image."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, UnreadableImage, UserError, on_one_line
from clim_mm.registry import DATASETS
from clim_mm.storage import failure_of, is_transient

from .quarantine import DiskProbe, Quarantine
from .source import build_source


def run_pipeline(pipeline: Compose, results: dict, sample_idx: int) -> Any:
    """What the pipeline makes of ``results``.

    Raises:
        ConfigError: If a transform fails for another reason than the image, a disk, a network or the machine.
    """
    try:
        return pipeline(results)
    except UserError:
        raise
    except Exception as error:
        if is_transient(error):  # which no transform of ours lets through
            raise failure_of(results.get('img_path', f'the image with id {sample_idx}'), error) from error
        owners = [frame.f_locals.get('self') for frame, _ in traceback.walk_tb(error.__traceback__)]
        place = next((f' in {type(owner).__name__}' for owner in reversed(owners) if isinstance(owner, BaseTransform)),
                     '')
        raise machine_error(error) or ConfigError(
            f'The pipeline fails on the image with id {sample_idx}{place} '
            f'({type(error).__name__}: {on_one_line(error)}).') from error


@dataclass(frozen=True)
class NoView:
    """Stands for the view of an unreadable image, with its path and the reason; None if it was known before."""

    sample_idx: int
    entry: Optional[str] = None


@DATASETS.register_module()
class SingleViews(Dataset):
    """Runs a pipeline on each image; unlike MMEngine's datasets it never replaces an image by another one.

    Args:
        dataset: The wrapped dataset, or its config. Its own pipeline is not run.
        pipeline: Transforms, or their configs, that end with ``PackSelfSupInputs(algorithm_keys=['sample_idx'])``.
        quarantine: Of unreadable images; a :class:`NoView` then stands in their place. Without one they raise
            UnreadableImage.
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
        if self.quarantine is not None and self.quarantine.holds(sample_idx):
            return NoView(sample_idx)
        try:
            return run_pipeline(self.pipeline, self.dataset.get_data_info(sample_idx), sample_idx)
        except UnreadableImage as error:
            if self.quarantine is None:
                raise
            return self[sample_idx] if self._disk.has_returned(error) else NoView(sample_idx, error.entry)
