"""What a sample's views are for."""

from collections.abc import Sequence
from typing import Optional

import torch

from clim_mm.errors import ConfigError


def split_views(inputs: Sequence[torch.Tensor], num_queries: Optional[int] = None) -> tuple[list, list, list]:
    """Divide a sample's views into queries, anchor keys and positive keys.

    Args:
        inputs: Q + 2|R| tensors (N, 3, r, r): the queries, of any sizes, and the keys at every resolution of R, in the
            same order for both images, without repetition. Or Q + |R|, without positive keys.
        num_queries: Q. None for queries that are at the resolutions of R, as the keys are.

    Returns:
        Three lists, of Q, |R| and |R| tensors; the third is empty if there are no positive keys.

    Raises:
        ConfigError: If the inputs are not of that form.
    """
    sizes = [tuple(x.shape[-2:]) for x in inputs]
    like_keys = num_queries is None
    num_queries = len(set(sizes)) if num_queries is None else num_queries
    key_sizes = sizes[num_queries:]
    num_resolutions = max(len(set(key_sizes)), 1)
    parts, rest = divmod(len(key_sizes), num_resolutions)
    resolutions = key_sizes[:num_resolutions]
    if parts not in (1, 2) or rest or key_sizes != resolutions * parts or (
            like_keys and sizes[:num_queries] != resolutions):
        raise ConfigError('CLIM takes queries, and an anchor key and a positive key at each resolution (or MoCo\'s two '
                          f'views), but the pipeline gives views of sizes {sizes}.')
    queries, keys = list(inputs[:num_queries]), list(inputs[num_queries:])
    return queries, keys[:num_resolutions], keys[num_resolutions:]


def largest(views: Sequence[torch.Tensor]) -> int:
    """The place of the largest view, the first if there are several: its keys enter the queue [ours]."""
    return max(range(len(views)), key=lambda i: views[i].shape[-1])
