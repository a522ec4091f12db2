"""Batches of the views that an extraction reads."""

from typing import Any, Optional

import torch

from clim_mm.errors import ConfigError

from .collate import stack_collate
from .single_views import NoView


def collate_views(samples: list[Any]) -> tuple[Optional[dict], list[NoView]]:
    """The batch of the views there are, None if there is none, and what stands for the others.

    Args:
        samples: Of a :class:`SingleViews`.

    Raises:
        ConfigError: If they are no packed images.
    """
    views = [sample for sample in samples if not isinstance(sample, NoView)]
    if not all(isinstance(view, dict) and len(view.get('inputs', ())) and 'data_samples' in view for view in views):
        raise ConfigError('The pipeline of the extraction gives no images: let it begin with LoadImage, and end with '
                          'PackSelfSupInputs(algorithm_keys=["sample_idx"]).')
    missing = [sample for sample in samples if isinstance(sample, NoView)]
    if not views:
        return None, missing
    # The ids as one tensor: a worker sends each tensor by a file descriptor, of which a process may have a thousand.
    ids = torch.tensor([int(view['data_samples'].sample_idx.value) for view in views])
    return dict(stack_collate([dict(inputs=view['inputs']) for view in views]), sample_idx=ids), missing
