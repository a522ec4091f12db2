"""The rows of all processes, for losses on the whole batch."""

import torch
from mmengine.dist import get_world_size


def gather_with_gradient(rows: torch.Tensor) -> torch.Tensor:
    """(n, d) rows of every process below each other, in the order of the ranks; all have as many.

    If every process computes the same loss of the result, the gradient of a process's own rows is that of one process
    with the whole batch times the number of processes: DDP, which takes the mean of the gradients, makes it the same.
    """
    if get_world_size() == 1:
        return rows
    from torch.distributed.nn.functional import all_gather
    return torch.cat(all_gather(rows.contiguous()))
