"""What the detection configs use, registered where MMDetection finds it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmcv.cnn import build_norm_layer
from mmcv.transforms import BaseTransform
from mmdet.models.roi_heads.shared_heads.res_layer import ResLayer
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.registry import VISBACKENDS
from torch import nn

from clim_mm.checkpoints.atomic_write import LocalVisBackend

from .detector_hooks import FiguresHook, TransferPreflightHook

__all__ = ['FiguresHook', 'NormedResLayer', 'TrainOnDifficult', 'TransferPreflightHook', 'let_lvis_run']

# Scope clim_mm would import MMSelfSup; MMEngine's own backend has the name that this one has there.
VISBACKENDS.register_module(name='WholeLinesVisBackend', module=LocalVisBackend)


@MODELS.register_module()
class NormedResLayer(ResLayer):
    """MMDetection's ``ResLayer`` with a norm behind it [moco: the extra BN that follows res5 in its C4 detectors]."""

    def __init__(self, norm_cfg: dict, **kwargs: Any) -> None:
        super().__init__(norm_cfg=norm_cfg, **kwargs)
        stage = getattr(self, f'layer{self.stage + 1}')
        channels = [module for module in stage[-1].modules() if isinstance(module, nn.Conv2d)][-1].out_channels
        _, self.norm = build_norm_layer(norm_cfg, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Box features, (boxes, C, H, W), to (boxes, 2C, H / 2, W / 2) with a ResNet-50 and stride 2."""
        return self.norm(super().forward(x))


@TRANSFORMS.register_module()
class TrainOnDifficult(BaseTransform):
    """Train on VOC's difficult objects [moco, by detectron2], of which MMDetection would make background."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Clear ``gt_ignore_flags``, a bool for each object."""
        results['gt_ignore_flags'] = np.zeros_like(results['gt_ignore_flags'])
        return results


def let_lvis_run() -> None:
    """Give lvis 0.5.3 the ``np.float`` that numpy 1.24 has dropped (lvis-dataset/lvis-api#42); numpy stays as it is."""
    try:
        import lvis.eval
    except ImportError:
        return
    if not hasattr(np, 'float'):
        lvis.eval.np = SimpleNamespace(**vars(np), float=float)


let_lvis_run()
