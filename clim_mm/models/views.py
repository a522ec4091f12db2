"""What a sample's views are for."""

from collections.abc import Sequence

import torch

from clim_mm.errors import ConfigError


def split_views(inputs: Sequence[torch.Tensor]) -> tuple[list, list, list]:
    """Divide a sample's views into queries, anchor keys and positive keys, each at every resolution.

    Args:
        inputs: 3|R| or 2|R| tensors (N, 3, r, r), R in the same order in each part, without repetition.

    Returns:
        Three lists of |R| tensors; the third is empty for 2|R| inputs.

    Raises:
        ConfigError: If the inputs are not of that form.
    """
    sizes = [tuple(x.shape[-2:]) for x in inputs]
    num_resolutions = max(len(set(sizes)), 1)
    parts, rest = divmod(len(inputs), num_resolutions)
    if parts not in (2, 3) or rest or sizes != sizes[:num_resolutions] * parts:
        raise ConfigError('CLIM takes a query, an anchor key and a positive key at each resolution (or MoCo\'s two '
                          f'views), but the pipeline gives views of sizes {sizes}.')
    queries, anchor_keys, *positive_keys = [
        list(inputs[i:i + num_resolutions]) for i in range(0, len(inputs), num_resolutions)
    ]
    return queries, anchor_keys, positive_keys[0] if positive_keys else []


def largest(views: Sequence[torch.Tensor]) -> int:
    """The place of the largest resolution, whose anchor keys enter the queue [ours]."""
    return max(range(len(views)), key=lambda i: views[i].shape[-1])
