"""What the detection configs use, registered where MMDetection finds it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmcv.cnn import build_norm_layer
from mmcv.transforms import BaseTransform
from mmdet.models.roi_heads.shared_heads.res_layer import ResLayer
from mmdet.registry import MODELS, TRANSFORMS
from mmengine import dist
from mmengine.registry import HOOKS, VISBACKENDS
from mmengine.runner import Runner
from torch import nn

from clim_mm.checkpoints.atomic_write import LocalVisBackend
from clim_mm.checkpoints.backbone import check_landed, checkpoint_of
from clim_mm.checkpoints.normalization import preprocessor_of
from clim_mm.checkpoints.weights import weights_sha256
from clim_mm.checks import check_choice
from clim_mm.distributed import unwrapped
from clim_mm.hooks.checkpoint_guard_hook import StartHook

from . import trials  # noqa: F401  (registers FiguresHook)
from .detector_checks import check_fits, check_norms_train, check_nothing_frozen, pretrained_part

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


@HOOKS.register_module()
class TransferPreflightHook(StartHook):
    """Hook that makes sure that a detector trains what pretraining has made, all of it, and says so in four lines.

    MMEngine loads what fits and logs the rest, and MMDetection's configs freeze stages and norms unless they are told
    otherwise: both cost points that no figure shows (DenseCL#7 tells of 35.5 instead of 37.5 AP). The commands set
    ``start``, and ``model.backbone.init_cfg`` names the checkpoint.
    """

    priority = 'VERY_HIGH'

    def __init__(self, start: str = 'pretraining') -> None:
        check_choice('start of TransferPreflightHook', start, ('pretraining', 'supervised', 'random'))
        self.start = start

    def before_train(self, runner: Runner) -> None:
        """Check, and say what was found; on resume, what can still be told."""
        detector, say, processes = unwrapped(runner), runner.logger.info, dist.get_world_size()
        part = pretrained_part(detector)
        tensors = part.state_dict()
        weights: dict[str, torch.Tensor] = {}
        checkpoint = checkpoint_of(getattr(detector.backbone, 'init_cfg', None))
        if self.start != 'random':
            weights, normalized = check_fits(part, preprocessor_of(runner.cfg), checkpoint, self.start)
            say(f'Transfer: {normalized[0].lower()}{normalized[1:]}')
        self._note_start(runner, weights, f'from {checkpoint or "random weights"}')
        if runner.iter > 0:
            say(f'Transfer: goes on after {runner.iter} iterations.')
        else:
            if weights:
                check_landed(part, weights, checkpoint)
            origin = f'those of {checkpoint}' if weights else 'initialised at random'
            shared = '' if hasattr(detector.backbone, 'layer4') else ', shared head included,'
            say(f'Transfer: all {len(tensors)} tensors of the backbone{shared} are {origin} (sha256 '
                f'{weights_sha256(tensors)}).')
        say(f'Transfer: no stage is frozen, all {check_nothing_frozen(part)} weights of the backbone train.')
        norms, synchronized = check_norms_train(detector, processes)
        how = f'synchronised over {processes} processes' if synchronized else 'unsynchronised'
        say(f'Transfer: all {norms} norms of the backbone train, {how}.')


def let_lvis_run() -> None:
    """Give lvis 0.5.3 the ``np.float`` that numpy 1.24 has dropped (lvis-dataset/lvis-api#42); numpy stays as it is."""
    try:
        import lvis.eval
    except ImportError:
        return
    if not hasattr(np, 'float'):
        lvis.eval.np = SimpleNamespace(**vars(np), float=float)


let_lvis_run()
