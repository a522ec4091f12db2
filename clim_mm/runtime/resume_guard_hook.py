"""When a checkpoint that a training is resumed from is compared with it, in whatever training."""

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints.resume_checks import check_sound, oddities
from clim_mm.checkpoints.weights import compare, not_finite, weights_of
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.registry import HOOKS

from .resumed_settings import had_schedule, reached, take_up_settings


@HOOKS.register_module()
class ResumeGuardHook(Hook):
    """Refuses to resume from a checkpoint that does not fit, before anything of it is in the model.

    MMEngine loads whatever has the right name and shape, and logs the rest. A run that is resumed must have all of
    it. A hook that saves a part of its own tells its name by ``checkpoint_part``. The run goes on with the config's
    settings, which the log compares with those of the checkpoint.

    Raises:
        ConfigError: If the checkpoint does not fit.
    """

    priority = 'VERY_HIGH'  # before other hooks take their parts of the checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes, and look for the parts that a resumed run needs."""
        if not runner.cfg.get('resume'):
            return
        name = name_of_checkpoint(runner)
        weights = weights_of(checkpoint)
        fit = compare(weights, unwrapped(runner).state_dict())
        parts = tuple(hook.checkpoint_part for hook in runner.hooks if hasattr(hook, 'checkpoint_part'))
        with_schedule = bool(runner.param_schedulers) and had_schedule(checkpoint)
        lacking = missing_parts(checkpoint, with_schedule, others=parts)
        if lacking:
            raise ConfigError(f'The {name} cannot be resumed from (it lacks {", ".join(lacking)}): give a checkpoint '
                              'that a training has saved whole, or start from its weights by load_from without resume.')
        check_sound(oddities(checkpoint), name)
        if not fit.exact:
            raise ConfigError(f'The {name}, saved after {reached(runner, checkpoint["meta"])}, is of another model '
                              f'({fit.differences()}): resume with the config that it was trained with, or start from '
                              'its weights by load_from without resume.')
        check_sound(not_finite('weights', weights), name)
        take_up_settings(runner, checkpoint, name)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep weights that the last step has broken out of the checkpoints, and note what the config does not tell."""
        if odd := not_finite('weights', checkpoint['state_dict']):
            now = reached(runner, checkpoint['meta'])
            raise TrainingError(f'No checkpoint is written after {now} ({odd[0]}): start from the weights of the last '
                                'one, by load_from without --resume, with a lower learning rate.')
        checkpoint['meta']['processes'] = runner.world_size


def name_of_checkpoint(runner: Runner) -> str:
    """By which sentences call the checkpoint that a training starts or goes on from."""
    return f'checkpoint {runner.cfg.get("load_from") or ""}'.strip()


def missing_parts(checkpoint: Mapping[str, Any], with_schedule: bool, others: tuple[str, ...] = ()) -> list[str]:
    """What a checkpoint lacks for a run to go on from it.

    Args:
        checkpoint: What its file holds.
        with_schedule: Whether the run has parameter schedulers.
        others: Parts of the run's hooks.

    Returns:
        The names of the parts.
    """
    parts = ['state_dict', 'optimizer', 'message_hub', *(['param_schedulers'] if with_schedule else []), *others]
    meta = checkpoint.get('meta') or {}
    return [part for part in parts if checkpoint.get(part) is None] + [
        f'meta.{part}' for part in ('epoch', 'iter') if part not in meta]
