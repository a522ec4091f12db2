"""MMSelfSup's MoCo, the baseline, with the capabilities that evaluations ask for."""

from types import SimpleNamespace
from typing import Any

import torch

from clim_mm.host import MoCo as HostMoCo
from clim_mm.host import concat_all_gather
from clim_mm.registry import MODELS

from ..parts.encoder import LAST, EmbedsFirstView, Encoder
from ..parts.key_queue import overwrite_oldest


@MODELS.register_module()
class MoCo(EmbedsFirstView, HostMoCo):
    """``mmselfsup.MoCo``: the same arguments, losses, weights and names, whose features can be taken as those of CLIM.

    The queue may be of any length, and not only a multiple of the keys of a step.
    """

    @property
    def embedding_dim(self) -> int:
        """C."""
        return len(self.queue)

    @property
    def queues(self) -> dict[str, Any]:
        """The queue, by its level."""
        return {LAST: SimpleNamespace(keys=self.queue)}

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys: torch.Tensor) -> None:
        overwrite_oldest(self.queue, self.queue_ptr, concat_all_gather(keys))

    def encoder(self, name: str) -> Encoder:
        """The ``momentum`` or the ``query`` encoder."""
        return Encoder(*self.encoder_k.module) if name == 'momentum' else Encoder(self.backbone, self.neck)
