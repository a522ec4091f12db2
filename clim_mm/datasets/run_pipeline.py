"""Run a pipeline on one image, or say at which transform it failed."""

import traceback
from typing import Any, Optional

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, UserError, on_one_line
from clim_mm.storage import failure_of, is_transient


def run_pipeline(pipeline: Compose, results: dict, sample_idx: int) -> Any:
    """What the pipeline makes of ``results``.

    Args:
        pipeline: Of transforms.
        results: What the first of them receives.
        sample_idx: Of the image that they are about.

    Raises:
        ConfigError: If a transform fails for another reason than the image: its settings, or those of one before it.
        StorageError: If a transform fails since a disk or a network does.
        MachineError: If the machine is to blame.
        UserError: As a transform raises it, such as UnreadableImage.
    """
    try:
        return pipeline(results)
    except UserError:
        raise
    except Exception as error:
        if is_transient(error):  # which no transform of ours lets through
            raise failure_of(results.get('img_path', f'the image with id {sample_idx}'), error) from error
        raise machine_error(error) or ConfigError(
            f'The pipeline fails on the image with id {sample_idx}{_place_of(error)} '
            f'({type(error).__name__}: {on_one_line(error)}).') from error


def _place_of(error: Exception) -> str:
    """The innermost transform that the error went through."""
    owners = [frame.f_locals.get('self') for frame, _ in traceback.walk_tb(error.__traceback__)]
    transform: Optional[Any] = next((owner for owner in reversed(owners) if isinstance(owner, BaseTransform)), None)
    return '' if transform is None else f' in {type(transform).__name__}'
