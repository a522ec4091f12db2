"""The last stage of a ResNet as the head that all boxes share, with a norm behind it."""

from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmdet.models.roi_heads.shared_heads.res_layer import ResLayer
from mmdet.registry import MODELS
from torch import nn


@MODELS.register_module()
class NormedResLayer(ResLayer):
    """MMDetection's ``ResLayer`` with a norm behind it [moco: the extra BN that follows res5 in its C4 detectors].

    Args:
        norm_cfg: Of all norms, the new one included.
        **kwargs: As for ``ResLayer``.
    """

    def __init__(self, norm_cfg: dict, **kwargs: Any) -> None:
        super().__init__(norm_cfg=norm_cfg, **kwargs)
        stage = getattr(self, f'layer{self.stage + 1}')
        channels = [module for module in stage[-1].modules() if isinstance(module, nn.Conv2d)][-1].out_channels
        _, self.norm = build_norm_layer(norm_cfg, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Box features to box features.

        Args:
            x: (boxes, channels, height, width), float.

        Returns:
            (boxes, 2 * channels, height / 2, width / 2) with a ResNet-50 and stride 2.
        """
        return self.norm(super().forward(x))
