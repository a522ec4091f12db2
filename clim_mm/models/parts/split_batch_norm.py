"""Batch normalisation in groups: what several processes give, in one."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch.nn.modules.batchnorm import _BatchNorm

from clim_mm.errors import ConfigError


class SplitBatchNorm(_BatchNorm):
    """Batch normalisation that divides the batch into groups with statistics of their own while training.

    In one process the query's and the keys' statistics would come from the same images, and the network learns to
    tell the positive by them. Several processes normalise separately, and MoCo shuffles the keys among them [moco];
    groups and a shuffle do the same in one process. The groups are equal up to one image. The running statistics
    move once a batch, by the groups' mean. Weights and statistics have the names that ``nn.BatchNorm2d`` gives them.

    Args:
        norm: The layer whose settings, weights and statistics this one takes over; it must have running statistics.
        num_splits: The most groups.
        smallest_group: Images of a group, at least; fewer groups are made of a smaller batch.
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

    def extra_repr(self) -> str:
        """The layer's settings, for printing."""
        return f'{super().extra_repr()}, num_splits={self.num_splits}, smallest_group={self.smallest_group}'


def split_batch_norms(module: nn.Module, num_splits: int, smallest_group: int = 2) -> None:
    """Replace the batch normalisation layers below ``module``, but those that several processes synchronise.

    Raises:
        ConfigError: If one of them does more than normalise, such as timm's with the activation in it.
    """
    for name, child in module.named_children():
        synchronized = isinstance(child, nn.SyncBatchNorm) and get_world_size() > 1
        if isinstance(child, _BatchNorm) and child.track_running_stats and not synchronized:
            if type(child).forward not in (_BatchNorm.forward, nn.SyncBatchNorm.forward, SplitBatchNorm.forward):
                raise ConfigError(f'The layer {name} is a {type(child).__name__}, which may do more than normalise and '
                                  'cannot be divided into groups: set model.bn_splits=1, or choose a backbone with '
                                  'torch\'s own batch normalisation.')
            setattr(module, name, SplitBatchNorm(child, num_splits, smallest_group))
        else:
            split_batch_norms(child, num_splits, smallest_group)
