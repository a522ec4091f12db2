"""Hooks that compare a resumed training with its checkpoint."""

from collections.abc import Mapping
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints.weights import COUNTER, not_finite, weights_sha256
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.registry import HOOKS

from .resume import apply_settings, check_resumable, progress_of

_STARTED_FROM = 'started_from'


@HOOKS.register_module()
class ResumeGuardHook(Hook):
    """Refuses to resume from a checkpoint that does not fit, before anything of it is in the model.

    MMEngine loads whatever has the right name and shape, and logs the rest. A run that is resumed must have all of
    it. A hook that saves a part of its own tells its key by ``checkpoint_part``. The run goes on with the config's
    settings, which the log compares with those of the checkpoint.
    """

    priority = 'VERY_HIGH'  # before other hooks take their parts of the checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare a checkpoint to resume from with the model and the config."""
        if runner.cfg.get('resume'):
            name = name_of_checkpoint(runner)
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


def name_of_checkpoint(runner: Runner) -> str:
    """By which sentences call the checkpoint that a training starts or goes on from."""
    return f'checkpoint {runner.cfg.get("load_from") or ""}'.strip()


class StartHook(Hook):
    """Base of hooks that hold a resumed training to the weights that it has started from.

    Without it a resumed evaluation would go on from its own checkpoint, whatever pretraining it is given.
    """

    _started_from: Optional[str] = None  # older checkpoints do not tell

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read from the checkpoint what the training has started from."""
        self._started_from = (checkpoint.get('meta') or {}).get(_STARTED_FROM)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note it in the checkpoint."""
        checkpoint['meta'][_STARTED_FROM] = self._started_from

    def _note_start(self, runner: Runner, weights: Mapping[str, torch.Tensor], words: str) -> None:
        """Note what a training starts from; one that is resumed must have started from the same.

        Args:
            weights: As their file has them; none for a start at random.
            words: For the sentence that refuses, such as ``from FILE``.
        """
        now = weights_sha256({name: value.float() for name, value in weights.items() if not name.endswith(COUNTER)})
        if runner.iter == 0:
            self._started_from = now
        elif self._started_from not in (None, now):
            raise ConfigError(f'The training in {runner.work_dir} has not started {words}: resume it with what it '
                              'has started from, or choose another --work-dir for a new one.')
