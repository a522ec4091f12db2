"""What methods with a momentum encoder share: how the two encoders are built, begin and are asked for."""

from typing import Any, Optional

import torch
from mmengine.model import BaseModel, ModuleDict

from clim_mm.checks import check_bool, check_number
from clim_mm.errors import TrainingError
from clim_mm.registry import MODELS

from .encoder import EmbedsFirstView, Encoder, MomentumEncoder, features_dims


class FollowedEncoder(EmbedsFirstView, BaseModel):
    """Base of the methods whose momentum encoder follows the query encoder; they tell the ``loss`` of views.

    Args:
        backbone, neck, head: Their configs. ``neck`` may be several, by the names of their levels, for as many of the
            backbone's last maps, in their order.
        momentum: The share of itself that the momentum encoder keeps, 0 to 1.
        channels_last: Keep images, features and the weights of convolutions in ``torch.channels_last``.
        data_preprocessor: A ``ViewPreprocessor``, if no other type is given.

    Attributes:
        advance_after_loss: Whether each ``loss`` is one optimizer step. If not, ``advance`` ends a step.
        feature_dims: The dimensions of the features, over the levels.
    """

    def __init__(self, backbone: dict, neck: dict, head: dict, momentum: float, channels_last: bool = False,
                 data_preprocessor: Optional[dict] = None, init_cfg: Optional[dict] = None) -> None:
        check_number('model.momentum', momentum, above=0, below=1)
        check_bool('model.channels_last', channels_last)
        super().__init__(dict(dict(type='clim_mm.ViewPreprocessor'), **(data_preprocessor or {})), init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck) if 'type' in neck else ModuleDict({
            level: MODELS.build(of_level) for level, of_level in neck.items()})
        self.head = MODELS.build(head)
        self.channels_last = channels_last
        self.feature_dims = features_dims(self.encoder('query'))
        self.encoder_k = MomentumEncoder(self.encoder('query'), 1 - momentum)
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.advance_after_loss = True

    def init_weights(self) -> None:
        """Initialise the query encoder, and start the momentum encoder as its copy.

        The first refresh extracts before the first training step would make that copy.
        """
        if self.channels_last:  # in that format the same seed would draw other weights
            self.to(memory_format=torch.contiguous_format)
        super().init_weights()
        self.encoder_k.module.load_state_dict(self.encoder('query').state_dict())
        if self.channels_last:
            self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Any, data_samples: Optional[list] = None, mode: str = 'tensor') -> Any:
        """The losses of views in mode ``loss``, else the backbone's maps of (N, 3, H, W) images."""
        return self.loss(inputs, data_samples or []) if mode == 'loss' else self.backbone(inputs)

    def encoder(self, name: str) -> Encoder:
        """The ``momentum`` or the ``query`` encoder."""
        return self.encoder_k.module if name == 'momentum' else Encoder(self.backbone, self.neck, self.channels_last)


def finite(loss: torch.Tensor) -> torch.Tensor:
    """``loss``, if it is finite."""
    if not torch.isfinite(loss):
        raise TrainingError('The loss is not finite: this step enters neither the queue nor a checkpoint. Start from '
                            'the last checkpoint\'s weights, by load_from without --resume, with a lower learning rate '
                            'or without mixed precision.')
    return loss
