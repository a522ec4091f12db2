"""MMSelfSup's MoCo, the baseline, with the capabilities that evaluations ask for."""

from typing import Any

import torch

from clim_mm.host import MoCo as HostMoCo
from clim_mm.registry import MODELS

from ..parts.encoder import Encoder, embed


@MODELS.register_module()
class MoCo(HostMoCo):
    """``mmselfsup.MoCo``: the same losses, weights and names, whose features can be taken as those of CLIM.

    Args:
        **kwargs: As for ``mmselfsup.MoCo``.
    """

    @property
    def embedding_dim(self) -> int:
        """C."""
        return len(self.queue)

    def encoder(self, name: str) -> Encoder:
        """The ``momentum`` or the ``query`` encoder."""
        return Encoder(*self.encoder_k.module) if name == 'momentum' else Encoder(self.backbone, self.neck)

    def embed_batch(self, batch: dict, encoder: str = 'momentum', layer: str = 'embedding', amp: bool = False,
                    channels_last: bool = False) -> torch.Tensor:
        """Features, as for :meth:`CLIM.embed_batch`."""
        inputs: Any = self.data_preprocessor(batch)[0]
        backbone, neck = self.encoder(encoder)
        return embed(Encoder(backbone, neck, channels_last), inputs[0], layer, amp)
