"""One view of each image, as feature extraction reads them; how a pipeline is run, and how samples become a batch."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset, Compose, default_collate
from torch.utils.data import Dataset

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, UnreadableImage, UserError, on_one_line
from clim_mm.registry import DATASETS, FUNCTIONS
from clim_mm.storage import failure_of, is_transient

from .quarantine import Quarantine
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
        quarantine: Where unreadable images are noted; a :class:`NoView` then stands in their place. Without one they
            raise UnreadableImage.
    """

    def __init__(self, dataset: Union[dict, BaseDataset], pipeline: Sequence,
                 quarantine: Optional[Quarantine] = None) -> None:
        self.dataset = build_source(dataset)
        self.pipeline = Compose(pipeline)
        self.quarantine = quarantine

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
            return NoView(sample_idx, error.entry)


@FUNCTIONS.register_module()
def stack_collate(data_batch: Sequence, _scope_: Optional[str] = None) -> Any:
    """Stack a batch's tensors, as ``mmengine.dataset.default_collate`` does.

    ``_scope_``, which MMEngine passes if a config inherits by ``clim_mm::...``, is ignored; MMEngine's own fails on it.
    """
    try:
        return default_collate(data_batch)
    except (RuntimeError, TypeError, KeyError) as error:
        raise machine_error(error) or ConfigError(
            f'The samples of a batch cannot be stacked ({on_one_line(error)}): let the pipeline end with images of one '
            'size, and with PackPair or PackSelfSupInputs.') from error


def collate_views(samples: list[Any]) -> tuple[Optional[dict], list[NoView]]:
    """The batch of the views that :class:`SingleViews` gives, None if there is none, and what stands for the others."""
    missing = [sample for sample in samples if isinstance(sample, NoView)]
    views = [sample for sample in samples if not isinstance(sample, NoView)]
    if not all(isinstance(view, dict) and len(view.get('inputs', ())) and 'data_samples' in view for view in views):
        raise ConfigError('The pipeline of the extraction gives no images: let it begin with LoadImage, and end with '
                          'PackSelfSupInputs(algorithm_keys=["sample_idx"]).')
    if not views:
        return None, missing
    # The ids as one tensor: a worker sends each tensor by a file descriptor, of which a process may have a thousand.
    ids = torch.tensor([int(view['data_samples'].sample_idx.value) for view in views])
    return dict(stack_collate([dict(inputs=view['inputs']) for view in views]), sample_idx=ids), missing
