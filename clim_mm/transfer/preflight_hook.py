"""When a detector is held against its pretraining: before its first step."""

from typing import Optional

import torch
from mmengine import dist
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from clim_mm.checkpoints.backbone import check_landed, checkpoint_of
from clim_mm.checkpoints.normalization import preprocessor_of
from clim_mm.checkpoints.weights import weights_sha256
from clim_mm.checks import check_choice
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError
from clim_mm.runtime.resume_guard_hook import StartHook

from .pretrained_part import check_norms_train, check_nothing_frozen, pretrained_part
from .start import STARTS, check_fits


# In MMEngine's own registry: scope mmdet sees it, and needs no other scope for it.
@HOOKS.register_module()
class TransferPreflightHook(StartHook):
    """Sees to it that a detector trains what pretraining has made, all of it, and says so in four lines.

    MMEngine loads what fits and logs the rest, and MMDetection's configs freeze stages and norms unless they are told
    otherwise: both cost points that no figure shows (DenseCL#7 tells of 35.5 instead of 37.5 AP).

    Args:
        start: What the backbone starts from: ``pretraining``, ``supervised`` or ``random``. The checkpoint is the one
            that ``model.backbone.init_cfg`` names.

    Attributes:
        hash: Of the backbone's weights before the first step, see :func:`weights_sha256`; None before ``before_train``.

    Raises:
        ConfigError: If no checkpoint is named, not all of it is in the detector, a stage is frozen, a norm keeps its
            statistics, or the images are normalised otherwise than in pretraining.
    """

    priority = 'VERY_HIGH'

    def __init__(self, start: str = 'pretraining') -> None:
        check_choice('start of TransferPreflightHook', start, STARTS)
        self.start = start
        self.hash: Optional[str] = None

    def before_train(self, runner: Runner) -> None:
        """Check, and say what was found; on resume, what can still be told."""
        detector = unwrapped(runner)
        part = pretrained_part(detector)
        tensors = part.state_dict()
        self.hash = weights_sha256(tensors)
        checkpoint, normalized = '', ''
        weights: dict[str, torch.Tensor] = {}
        if self.start != 'random':
            checkpoint = _checkpoint_of(detector)
            weights, normalized = check_fits(part, preprocessor_of(runner.cfg), checkpoint, self.start)
        self._note_start(runner, weights, 'at random' if self.start == 'random' else f'from {checkpoint}')
        if runner.iter > 0:
            runner.logger.info(f'Transfer: goes on after {runner.iter} iterations.')
        elif self.start == 'random':
            runner.logger.info(f'Transfer: all {len(tensors)} tensors of the backbone are initialised at random, as '
                               f'the config says (sha256 {self.hash}).')
        else:
            check_landed(part, weights, checkpoint)
            shared = '' if hasattr(detector.get_submodule('backbone'), 'layer4') else ', shared head included,'
            runner.logger.info(f'Transfer: all {len(tensors)} tensors of the backbone{shared} are those of '
                               f'{checkpoint} (sha256 {self.hash}).')
            runner.logger.info(f'Transfer: {normalized[0].lower()}{normalized[1:]}')
        number = check_nothing_frozen(part)
        runner.logger.info(f'Transfer: no stage is frozen, all {number} weights of the backbone train.')
        norms, synchronized = check_norms_train(detector, dist.get_world_size())
        how = f'synchronised over {dist.get_world_size()} processes' if synchronized else _why_alone()
        runner.logger.info(f'Transfer: all {norms} norms of the backbone train, {how}.')


def _why_alone() -> str:
    if dist.get_world_size() == 1:
        return 'unsynchronised, since there is one process'
    return 'unsynchronised, since torch synchronises them on GPUs alone'


def _checkpoint_of(detector: nn.Module) -> str:
    checkpoint = checkpoint_of(getattr(detector.backbone, 'init_cfg', None))
    if not checkpoint:
        raise ConfigError('This detector starts from a checkpoint, and none is named: train it by '
                          'tools/benchmarks/dist_train_det.sh CONFIG CHECKPOINT GPUS.')
    return checkpoint
