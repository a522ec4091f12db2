"""How many bytes a model's tensors take."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from clim_mm.protocols import HasQueues


@dataclass(frozen=True)
class ModelSizes:
    """Bytes of a model's tensors. MoCo's frozen parameters are those of the momentum encoder."""

    trainable: int
    frozen: int
    buffers: int
    queue: int

    @property
    def total(self) -> int:
        """All of them, which but for a few is what a checkpoint holds of the model."""
        return self.trainable + self.frozen + self.buffers + self.queue


def sizes_of(model: torch.nn.Module) -> ModelSizes:
    """The bytes of a model's tensors."""
    queues: list[Any] = [queue.keys for queue in model.queues.values()] if isinstance(model, HasQueues) else []
    if torch.is_tensor(moco := getattr(model, 'queue', None)):
        queues.append(moco)
    return ModelSizes(
        trainable=bytes_of(parameter for parameter in model.parameters() if parameter.requires_grad),
        frozen=bytes_of(parameter for parameter in model.parameters() if not parameter.requires_grad),
        buffers=bytes_of(buffer for buffer in model.buffers() if all(buffer is not queue for queue in queues)),
        queue=bytes_of(queues))


def bytes_of(tensors: Iterable[torch.Tensor]) -> int:
    """Of tensors that do not share memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
