"""When a backbone is held against its pretraining."""

from typing import Any, Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from clim_mm.checkpoints.transfer import changed, check_landed, pretrained_weights
from clim_mm.checks import check_bool
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.registry import HOOKS

from .runner_parts import resumed


@HOOKS.register_module()
class PretrainedBackboneHook(Hook):
    """Sees to it that the evaluated backbone is the pretrained one, all of it, and if frozen that it stays so.

    MMEngine loads what fits and logs the rest, so that an evaluation could measure a backbone half at random. The
    model's ``backbone.init_cfg`` names the checkpoint; ``tools/train.py --pretrained`` sets it.

    Args:
        frozen: The backbone is not to change: neither weights nor batch statistics.

    Raises:
        ConfigError: If no checkpoint is named, not all of it is in the backbone, or a frozen backbone would train.
        TrainingError: If a frozen backbone has changed.
    """

    priority = 'VERY_HIGH'

    def __init__(self, frozen: bool = False) -> None:
        check_bool('frozen of PretrainedBackboneHook', frozen)
        self.frozen = frozen
        self._before: Optional[dict[str, torch.Tensor]] = None

    def before_train(self, runner: Runner) -> None:
        """Compare the backbone with the checkpoint, and say so."""
        backbone = _backbone_of(runner)
        init_cfg: Any = getattr(backbone, 'init_cfg', None)
        checkpoint = init_cfg.get('checkpoint') if isinstance(init_cfg, dict) else None
        if not checkpoint:
            raise ConfigError('This evaluation starts from a pretraining checkpoint: give it by --pretrained FILE.')
        if self.frozen or not resumed(runner):
            number = check_landed(backbone, pretrained_weights(init_cfg), checkpoint)
            runner.logger.info(f'All {number} weights of the backbone are those of {checkpoint}'
                               f'{", and stay frozen" if self.frozen else ""}.')
        if self.frozen:
            trained = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
            if trained:
                raise ConfigError(f'The backbone is to be frozen, but {len(trained)} of its weights are trained (first '
                                  f'{trained[0]}): set model.backbone.frozen_stages to the number of its stages.')
            self._before = {name: value.detach().clone() for name, value in backbone.state_dict().items()}

    def after_train_epoch(self, runner: Runner) -> None:
        """Compare a frozen backbone with what it was."""
        if self._before is None:
            return
        names = changed(_backbone_of(runner).state_dict(), self._before)
        if names:
            raise TrainingError(f'The frozen backbone has changed in epoch {runner.epoch + 1} ({len(names)} tensors, '
                                f'first {names[0]}), so that the figures are not those of the pretraining: set '
                                'model.backbone.frozen_stages to the number of its stages, and keep other hooks off '
                                'it.')


def _backbone_of(runner: Runner) -> nn.Module:
    model = unwrapped(runner)
    if not isinstance(getattr(model, 'backbone', None), nn.Module):
        raise ConfigError(f'PretrainedBackboneHook wants a model with a backbone, not {type(model).__name__}.')
    return model.backbone
