"""Batch statistics that do not give the positive away: shuffled keys, and groups in one process."""

from collections.abc import Callable
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch.nn.modules.batchnorm import _BatchNorm

from clim_mm.errors import ConfigError
from clim_mm.host import batch_shuffle_ddp, batch_unshuffle_ddp

Features = dict[str, torch.Tensor]

_SMALLEST_GROUP = 16


class KeyShuffle:
    """Encodes key images in another order than their queries, over the processes [moco] or over groups in one.

    Args:
        splits: Groups of batch statistics, see :class:`SplitBatchNorm`. None takes 1 in several processes; in one,
            where MoCo's shuffle has nothing to shuffle, up to 8 of at least 16 images [ours].
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


class SplitBatchNorm(_BatchNorm):
    """Batch normalisation that divides the batch into groups with statistics of their own while training.

    A network could tell the positive by statistics that query and key share. Several processes normalise separately,
    and MoCo shuffles the keys among them [moco]; groups and a shuffle do the same in one process. The groups are equal
    up to one image. The running statistics move once a batch, by the groups' mean.

    Args:
        norm: The layer whose settings, weights and running statistics this one takes over.
        num_splits: The most groups, of at least ``smallest_group`` images.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def __init__(self, norm: _BatchNorm, num_splits: int, smallest_group: int = 2) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine)
        # The same tensors, not copies: MMEngine's moving average has noted which ones it moves.
        for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'):
            setattr(self, name, getattr(norm, name))
        self.train(norm.training)
        self.num_splits = num_splits
        self.smallest_group = smallest_group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise ``x``, (N, C, ...), over the images of a group and their places."""
        num_groups = min(self.num_splits, len(x) // self.smallest_group)
        if not self.training or num_groups < 2:
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        share = momentum / num_groups
        # After the last group each has the same share in the running statistics, as if their mean had moved them.
        shares = [share / (1 - later * share) for later in reversed(range(num_groups))]
        return torch.cat([
            F.batch_norm(part, self.running_mean, self.running_var, self.weight, self.bias, training=True,
                         momentum=share_now, eps=self.eps)
            for part, share_now in zip(x.tensor_split(num_groups), shares, strict=True)
        ])

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Any number of dimensions."""


def split_batch_norms(module: nn.Module, num_splits: int, smallest_group: int = 2) -> None:
    """Replace the batch normalisation layers below ``module``, but those that several processes synchronise.

    Raises:
        ConfigError: If one of them does more than normalise, such as timm's with the activation in it.
    """
    for name, child in module.named_children():
        synchronized = isinstance(child, nn.SyncBatchNorm) and get_world_size() > 1
        if isinstance(child, _BatchNorm) and child.track_running_stats and not synchronized:
            if type(child).forward not in (_BatchNorm.forward, nn.SyncBatchNorm.forward, SplitBatchNorm.forward):
                raise ConfigError(f'The {type(child).__name__} {name} may do more than normalise, and cannot be '
                                  'divided into groups: set model.bn_splits=1, or choose another backbone.')
            setattr(module, name, SplitBatchNorm(child, num_splits, smallest_group))
        else:
            split_batch_norms(child, num_splits, smallest_group)
