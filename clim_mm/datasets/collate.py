"""From samples to batches."""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from mmengine.dataset import default_collate

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, on_one_line
from clim_mm.registry import FUNCTIONS

from .single_views import NoView


@FUNCTIONS.register_module()
def stack_collate(data_batch: Sequence, _scope_: Optional[str] = None) -> Any:
    """Stack a batch's tensors, as ``mmengine.dataset.default_collate`` does.

    A config that inherits by ``clim_mm::...`` gets a key ``_scope_`` in every dict with a ``type``, and MMEngine
    passes it to the collate function; MMEngine's own fails on it. Here it is ignored.
    """
    try:
        return default_collate(data_batch)
    except (RuntimeError, TypeError, KeyError) as error:
        remedy = (': let the pipeline end with images of one size' if 'equal size' in str(error) else
                  '' if isinstance(error, RuntimeError) else
                  ': let the pipeline end with PackPair or PackSelfSupInputs')
        raise machine_error(error) or ConfigError(
            f'The samples of a batch cannot be stacked ({on_one_line(error)}){remedy}.') from error


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
