"""The encoder of the keys, which follows that of the queries."""

from typing import Optional

import torch
import torch.nn as nn
from mmengine.model import ExponentialMovingAverage


class MomentumEncoder(ExponentialMovingAverage):
    """MMEngine's moving average, all parameters in one operation: ``theta_k <- m theta_k + (1 - m) theta_q`` [moco].

    The same values, bit for bit, without a kernel for each of a ResNet's hundreds of tensors, and without waiting for
    the device at each step. Buffers are the query encoder's, as there.

    Args:
        model: The query encoder; a copy is made of it.
        momentum: ``1 - m``, the query encoder's share.
    """

    def __init__(self, model: nn.Module, momentum: float) -> None:
        super().__init__(model, momentum=momentum)
        self._begun: Optional[bool] = None  # a step counter on the device would be waited for

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move towards the query encoder; become its copy in the first step of all.

        Args:
            model: The query encoder.
        """
        if self._begun is None:
            self._begun = bool(self.steps > 0)  # resumed
        source: dict[str, torch.Tensor] = dict(model.named_parameters())
        own = list(self.avg_parameters.values())
        theirs = [source[name] for name in self.avg_parameters]
        if self._begun:
            torch._foreach_lerp_(own, theirs, self.momentum)
        else:
            torch._foreach_copy_(own, theirs)
        if buffers := list(self.module.buffers()):
            torch._foreach_copy_(buffers, list(model.buffers()))
        self._begun = True
        self.steps += 1
