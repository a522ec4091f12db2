"""Hooks of a detector's training: the check of its start, and the figures of its last validation."""

import json
import os.path as osp
from collections.abc import Mapping
from typing import Any, Optional

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from clim_mm.checkpoints import write_atomically
from clim_mm.checkpoints.backbone import check_landed, checkpoint_of
from clim_mm.checkpoints.normalization import preprocessor_of
from clim_mm.checkpoints.weights import weights_sha256
from clim_mm.checks import check_choice
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError
from clim_mm.hooks.checkpoint_guard_hook import StartHook

from .detector_checks import check_fits, check_norms_train, check_nothing_frozen, pretrained_part

FIGURES_FILE = 'figures.json'  # of a detector's last validation


# In MMEngine's own registry: scope mmdet sees it, and needs no other scope for it.
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
        digest = weights_sha256(tensors)
        checkpoint, normalized = '', ''
        weights: dict[str, torch.Tensor] = {}
        if self.start != 'random':
            checkpoint = checkpoint_of(getattr(detector.backbone, 'init_cfg', None))
            if not checkpoint:
                raise ConfigError('This detector starts from a checkpoint, and none is named: train it by '
                                  'tools/benchmarks/dist_train_det.sh CONFIG CHECKPOINT GPUS.')
            weights, normalized = check_fits(part, preprocessor_of(runner.cfg), checkpoint, self.start)
        self._note_start(runner, weights, 'at random' if self.start == 'random' else f'from {checkpoint}')
        if runner.iter > 0:
            say(f'Transfer: goes on after {runner.iter} iterations.')
        elif self.start == 'random':
            say(f'Transfer: all {len(tensors)} tensors of the backbone are initialised at random, as the config says '
                f'(sha256 {digest}).')
        else:
            check_landed(part, weights, checkpoint)
            shared = '' if hasattr(detector.get_submodule('backbone'), 'layer4') else ', shared head included,'
            say(f'Transfer: all {len(tensors)} tensors of the backbone{shared} are those of {checkpoint} (sha256 '
                f'{digest}).')
            say(f'Transfer: {normalized[0].lower()}{normalized[1:]}')
        say(f'Transfer: no stage is frozen, all {check_nothing_frozen(part)} weights of the backbone train.')
        norms, synchronized = check_norms_train(detector, processes)
        why = 'there is one process' if processes == 1 else 'torch synchronises them on GPUs alone'
        how = f'synchronised over {processes} processes' if synchronized else f'unsynchronised, since {why}'
        say(f'Transfer: all {norms} norms of the backbone train, {how}.')


@HOOKS.register_module()
class FiguresHook(Hook):
    """Hook that writes what a validation has measured into ``figures.json`` of the work dir."""

    priority = 'LOW'

    def __init__(self, seed: Optional[int] = None) -> None:
        self.seed = seed
        self._measured_at = -1

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict[str, float]] = None) -> None:
        """Write them."""
        self._measured_at = runner.iter
        if dist.is_main_process():
            write_json(osp.join(runner.work_dir, FIGURES_FILE), dict(
                iter=runner.iter, finished=runner.iter >= runner.max_iters, seed=self.seed,
                figures={name: float(value) for name, value in (metrics or {}).items()}))

    def after_train(self, runner: Runner) -> None:
        """Validate, if the training was interrupted in its last validation and has been resumed after it."""
        if self._measured_at != runner.iter and runner.val_loop is not None:
            runner.val_loop.run()


def write_json(path: str, content: Mapping[str, Any]) -> None:
    """Write a dictionary as a whole."""
    write_atomically(path, (json.dumps(content, indent=2) + '\n').encode())
