"""Hook that checks an evaluation by training: is the backbone the pretrained one, are classes and images right."""

from typing import Optional

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from clim_mm.checkpoints.backbone import backbone_init, check_landed, checkpoint_of, is_of_backbone, read_backbone
from clim_mm.checkpoints.normalization import check_normalization, normalization_in
from clim_mm.checkpoints.weights import changed
from clim_mm.checks import check_bool
from clim_mm.datasets.held_out import Listing, check_classifier, check_held_out
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.registry import HOOKS

from .checkpoint_guard_hook import StartHook
from .runner_parts import resumed


@HOOKS.register_module()
class PretrainedBackboneHook(StartHook):
    """Checks that the evaluated backbone is the pretrained one, all of it, and if frozen that it stays so.

    The model's ``backbone.init_cfg`` names the checkpoint; ``tools/train.py --pretrained`` sets it. Images must be
    normalised as they were for the backbone, training and validation have the same classes and no image in common, and
    the classifier an output for each class.

    Args:
        frozen: The backbone is not to change: neither weights nor batch statistics.
    """

    priority = 'VERY_HIGH'

    def __init__(self, frozen: bool = False) -> None:
        check_bool('frozen of PretrainedBackboneHook', frozen)
        self.frozen = frozen
        self._before: Optional[dict[str, torch.Tensor]] = None

    def before_run(self, runner: Runner) -> None:
        """Let MMEngine, which initialises the weights next, know the checkpoint's names."""
        backbone = unwrapped(runner).backbone
        if (checkpoint := checkpoint_of(backbone.init_cfg)) and is_of_backbone(backbone.init_cfg):
            backbone.init_cfg = backbone_init(checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Compare the backbone with the checkpoint, look at the other premises, and say so."""
        backbone = unwrapped(runner).backbone
        if not (checkpoint := checkpoint_of(backbone.init_cfg)):
            raise ConfigError('This evaluation starts from a pretraining checkpoint: give it by --pretrained FILE.')
        start = read_backbone(checkpoint)
        self._note_start(runner, start.backbone, f'from {checkpoint}')
        if self.frozen or not resumed(runner):
            number = check_landed(backbone, start.backbone, checkpoint)
            runner.logger.info(f'All {number} weights of the backbone are those of {checkpoint}{start.origin}'
                               f'{", and stay frozen" if self.frozen else ""}.')
        if here := normalization_in(dict(runner.cfg.items())):
            runner.logger.info(check_normalization(here, start.normalization, checkpoint))
        _check_images(runner)
        if self.frozen:
            if trained := [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]:
                raise ConfigError(f'The backbone is to be frozen, but {len(trained)} of its weights are trained (first '
                                  f'{trained[0]}): set model.backbone.frozen_stages to the number of its stages.')
            self._before = {name: value.detach().clone() for name, value in backbone.state_dict().items()}

    def after_train_epoch(self, runner: Runner) -> None:
        """Compare a frozen backbone with what it was."""
        if self._before is not None and (names := changed(unwrapped(runner).backbone.state_dict(), self._before)):
            raise TrainingError(f'The frozen backbone has changed in epoch {runner.epoch + 1} ({len(names)} tensors, '
                                f'first {names[0]}): set model.backbone.frozen_stages to the number of its stages, and '
                                'keep other hooks off it.')


def _check_images(runner: Runner) -> None:
    """On the main process, whose error ends the others: it takes seconds for a million images."""
    if not is_main_process():
        return
    datasets = [loop.dataloader.dataset for loop in (runner.train_loop, runner.val_loop) if loop is not None]
    if not all(hasattr(dataset, 'get_data_info') for dataset in datasets):  # not MMEngine's
        return
    if number := datasets[0].metainfo.get('pseudo_labels'):
        runner.logger.warning(f'Self-training with {number} pseudo-labels beside {len(datasets[0]) - number} labelled '
                              'images: the accuracy is not comparable with plain fine-tuning.')
    train, *held_out = map(Listing.of, datasets)
    num_classes = getattr(getattr(unwrapped(runner), 'head', None), 'num_classes', None)
    if num_classes is not None:
        check_classifier(train, num_classes, runner.cfg.get('val_evaluator'))
    for other in held_out:
        runner.logger.info(check_held_out(train, other, 'val_dataloader.dataset'))
