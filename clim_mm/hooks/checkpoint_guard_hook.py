"""Hooks that compare a loaded checkpoint with what it is to go into."""

from collections.abc import Mapping
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints.backbone import BACKBONE, Published, published
from clim_mm.checkpoints.resume import apply_settings, check_resumable, progress_of
from clim_mm.checkpoints.weights import (
    COUNTER,
    check_sound,
    check_start,
    compare,
    not_finite,
    weights_of,
    weights_sha256,
)
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.protocols import Embeds, UpgradesState
from clim_mm.registry import HOOKS


@HOOKS.register_module()
class ResumeGuardHook(Hook):
    """Refuses to resume from a checkpoint that does not fit, before anything of it is in the model.

    MMEngine loads whatever has the right name and shape, and logs the rest. A hook that saves a part which a resumed
    run must find tells its key by ``checkpoint_part``.
    """

    priority = 'VERY_HIGH'  # before other hooks take their parts of the checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare a checkpoint to resume from with the model and the config."""
        if runner.cfg.get('resume'):
            name = _name_of_checkpoint(runner)
            parts = [hook.checkpoint_part for hook in runner.hooks if hasattr(hook, 'checkpoint_part')]
            check_resumable(runner, checkpoint, name, parts)
            apply_settings(runner, checkpoint, name)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep weights that the last step has broken out of the checkpoints, and note the number of processes."""
        if odd := not_finite('weights', checkpoint['state_dict']):
            raise TrainingError(f'No checkpoint is written after {progress_of(runner, checkpoint["meta"])} ({odd[0]}): '
                                'start from the weights of the last one, by load_from without --resume, with a lower '
                                'learning rate.')
        checkpoint['meta']['processes'] = runner.world_size


@HOOKS.register_module()
class CheckpointGuardHook(ResumeGuardHook):
    """Refuses a checkpoint that does not fit, before anything of it is in the model.

    A run that is resumed must find all of its weights; another one must find some, and none of another shape.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes, and look for the parts that a resumed run needs."""
        model, state = unwrapped(runner), checkpoint.get('state_dict')
        if isinstance(model, UpgradesState) and isinstance(state, dict):
            model.upgrade_state(state)
        if runner.cfg.get('resume'):
            super().after_load_checkpoint(runner, checkpoint)
            return
        own = model.state_dict()
        start = (published(checkpoint) if any(name.startswith(BACKBONE) for name in own)
                 else Published(weights_of(checkpoint)))
        name = _name_of_checkpoint(runner) + start.origin
        fit = compare(start.weights, own)
        check_start(fit, name)
        check_sound(not_finite('weights', start.weights), name)
        checkpoint['state_dict'] = start.weights
        runner.logger.info(f'{len(fit.matched)} of the model\'s {len(fit.matched) + len(fit.missing)} weights come '
                           f'from the {name}, which has {len(fit.unexpected)} more.')

    def before_train(self, runner: Runner) -> None:
        """Make a momentum encoder that has made no step the query encoder's copy: many files have only that."""
        model = unwrapped(runner)
        if isinstance(model, Embeds) and hasattr(model, 'encoder_k') and model.encoder_k.steps == 0:
            model.encoder('momentum').load_state_dict(model.encoder('query').state_dict())


class StartHook(Hook):
    """Holds a resumed evaluation to the pretraining that it has started from, whatever it is given now."""

    _started_from: Optional[str] = None  # older checkpoints do not tell

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read from the checkpoint what the training has started from."""
        self._started_from = (checkpoint.get('meta') or {}).get('started_from')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note it in the checkpoint."""
        checkpoint['meta']['started_from'] = self._started_from

    def _note_start(self, runner: Runner, weights: Mapping[str, torch.Tensor], words: str) -> None:
        """Note the ``weights`` that a training starts from; one that is resumed must have started from the same."""
        now = weights_sha256({name: value.float() for name, value in weights.items() if not name.endswith(COUNTER)})
        if runner.iter == 0:
            self._started_from = now
        elif self._started_from not in (None, now):
            raise ConfigError(f'The training in {runner.work_dir} has not started {words}: resume it with what it '
                              'has started from, or choose another --work-dir for a new one.')


def _name_of_checkpoint(runner: Runner) -> str:
    return f'checkpoint {runner.cfg.get("load_from") or ""}'.strip()
