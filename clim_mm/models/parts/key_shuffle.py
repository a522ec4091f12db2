"""Shuffled keys: batch statistics that do not give the positive away."""

from collections.abc import Callable
from typing import Optional

import torch
import torch.nn as nn
from mmengine.dist import get_world_size

from clim_mm.host import batch_shuffle_ddp, batch_unshuffle_ddp

from .split_batch_norm import split_batch_norms

Features = dict[str, torch.Tensor]

_SMALLEST_GROUP = 16


class KeyShuffle:
    """Encodes key images in another order than their queries, over the processes [moco] or over groups in one.

    Args:
        splits: Groups of batch statistics, see :class:`SplitBatchNorm`. None takes 1 in several processes; in one,
            where MoCo's shuffle has nothing to shuffle, up to 8 of at least 16 images [ours; moco shuffles over 8
            processes of 32 images].
    """

    def __init__(self, splits: Optional[int] = None) -> None:
        self._smallest_group = _SMALLEST_GROUP if splits is None else 2
        self.splits = splits or (1 if get_world_size() > 1 else 8)

    def split(self, model: nn.Module) -> None:
        """Let the model's batch normalisation work in groups, if there is more than one."""
        if self.splits > 1:
            split_batch_norms(model, self.splits, self._smallest_group)

    def groups(self, batch_size: int) -> int:
        """Groups of a batch in one process: 1 means that the statistics of a batch give its positives away."""
        return max(1, min(self.splits, batch_size // self._smallest_group))

    def keys(self, encode: Callable[[torch.Tensor], Features], x: torch.Tensor) -> Features:
        """The (N, C) features by level of (N, 3, H, W) images, encoded in a random order and put back into theirs."""
        if self.splits == 1 or get_world_size() > 1:
            x, order = batch_shuffle_ddp(x)  # processes exchange images in the usual format
            return {level: batch_unshuffle_ddp(keys, order) for level, keys in encode(x).items()}
        order = torch.randperm(len(x)).to(x.device)
        return {level: keys[order.argsort()] for level, keys in encode(x[order]).items()}
