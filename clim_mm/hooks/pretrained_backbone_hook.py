"""Hook that checks an evaluation by training: is the backbone the pretrained one, are classes and images right."""

from typing import Any, Optional

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch import nn

from clim_mm.checkpoints.backbone import backbone_init, check_landed, checkpoint_of, is_of_backbone, read_backbone
from clim_mm.checkpoints.normalization import check_normalization, normalization_in
from clim_mm.checkpoints.weights import changed
from clim_mm.checks import check_bool
from clim_mm.datasets.held_out import Listing, check_held_out, check_num_classes, check_top_k
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.hooks.checkpoint_guard_hook import StartHook
from clim_mm.models.parts.encoder import check_feature_maps
from clim_mm.registry import HOOKS

from .runner_parts import resumed


@HOOKS.register_module()
class PretrainedBackboneHook(StartHook):
    """Checks that the evaluated backbone is the pretrained one, all of it, and if frozen that it stays so.

    MMEngine loads what fits and logs the rest, so that an evaluation could measure a backbone half at random. The
    model's ``backbone.init_cfg`` names the checkpoint; ``tools/train.py --pretrained`` sets it. Its names may be those
    of MoCo, SwAV, DINO, torchvision, timm and others.

    Images must be normalised as they were for the backbone, training and validation have the same classes and no image
    in common, and the classifier an output for each class.

    Args:
        frozen: The backbone is not to change: neither weights nor batch statistics.

    Attributes:
        owner: Whose names the checkpoint has, see ``Published``; None before ``before_train``.
    """

    priority = 'VERY_HIGH'

    def __init__(self, frozen: bool = False) -> None:
        check_bool('frozen of PretrainedBackboneHook', frozen)
        self.frozen = frozen
        self.owner: Optional[str] = None
        self._before: Optional[dict[str, torch.Tensor]] = None

    def before_run(self, runner: Runner) -> None:
        """Let MMEngine, which initialises the weights next, know the checkpoint's names."""
        backbone: Any = _backbone_of(runner)
        init_cfg: Any = getattr(backbone, 'init_cfg', None)
        if (checkpoint := checkpoint_of(init_cfg)) and is_of_backbone(init_cfg):
            backbone.init_cfg = backbone_init(checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Compare the backbone with the checkpoint, look at the other premises, and say so."""
        backbone = _backbone_of(runner)
        init_cfg: Any = getattr(backbone, 'init_cfg', None)
        checkpoint = checkpoint_of(init_cfg)
        if not checkpoint:
            raise ConfigError('This evaluation starts from a pretraining checkpoint: give it by --pretrained FILE.')
        if getattr(unwrapped(runner), 'neck', None) is not None:  # which pools; heads of transformers take no maps
            check_feature_maps(backbone)
        start = read_backbone(checkpoint)
        self._note_start(runner, start.backbone, f'from {checkpoint}')
        if self.frozen or not resumed(runner):
            number = check_landed(backbone, start.backbone, checkpoint)
            runner.logger.info(f'All {number} weights of the backbone are those of {checkpoint}{start.origin}'
                               f'{", and stay frozen" if self.frozen else ""}.')
        self.owner = start.owner
        if here := normalization_in(dict(runner.cfg.items())):
            runner.logger.info(check_normalization(here, start.normalization, checkpoint))
        _check_images(runner)
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


def _check_images(runner: Runner) -> None:
    """On the main process, whose error ends the others: it takes seconds for a million images."""
    if not is_main_process():
        return
    loops = [loop for loop in (runner.train_loop, runner.val_loop) if loop is not None]
    datasets = [loop.dataloader.dataset for loop in loops]
    if not all(hasattr(dataset, 'get_data_info') for dataset in datasets):  # not MMEngine's
        return
    train, *held_out = map(Listing.of, datasets)
    num_classes = getattr(getattr(unwrapped(runner), 'head', None), 'num_classes', None)
    if num_classes is not None:
        check_num_classes(train, num_classes)
        check_top_k(runner.cfg.get('val_evaluator'), num_classes)
    for other in held_out:
        runner.logger.info(check_held_out(train, other, 'val_dataloader.dataset'))


def _backbone_of(runner: Runner) -> nn.Module:
    model = unwrapped(runner)
    if not isinstance(getattr(model, 'backbone', None), nn.Module):
        raise ConfigError(f'PretrainedBackboneHook wants a model with a backbone, not {type(model).__name__}.')
    return model.backbone
