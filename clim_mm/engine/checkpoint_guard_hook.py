"""When a loaded checkpoint is compared with what it is to go into."""

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints.contents import check_sound, not_finite, oddities
from clim_mm.checkpoints.fit import check_start, compare, weights_of
from clim_mm.checkpoints.published_names import BACKBONE, Published, published
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.registry import HOOKS

from .resumed_settings import had_schedule, take_up_settings


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Refuses a checkpoint that does not fit, before anything of it is in the model.

    MMEngine loads whatever has the right name and shape, and logs the rest. A run that is resumed must have all of
    it; a run that merely starts from other weights must find some, and none of another shape. A hook that saves a part
    of its own tells its name by ``checkpoint_part``. A run that is resumed goes on with the config's settings, which
    the log compares with those of the checkpoint.

    Raises:
        ConfigError: If the checkpoint does not fit.
    """

    priority = 'VERY_HIGH'  # before other hooks take their parts of the checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes, and look for the parts that a resumed run needs."""
        own = unwrapped(runner).state_dict()
        name = f'checkpoint {runner.cfg.get("load_from") or ""}'.strip()
        if not runner.cfg.get('resume'):
            has_backbone = any(key.startswith(BACKBONE) for key in own)
            start = published(checkpoint) if has_backbone else Published(weights_of(checkpoint))
            name += start.origin
            fit = compare(start.weights, own)
            check_start(fit, name)
            check_sound(not_finite('weights', start.weights), name)
            weights = _with_momentum_encoder(start.weights, own)
            if weights.keys() != checkpoint.get('state_dict', {}).keys():
                checkpoint['state_dict'] = weights
            runner.logger.info(f'{len(fit.matched)} of the model\'s {len(fit.matched) + len(fit.missing)} weights come '
                               f'from the {name}, which has {len(fit.unexpected)} more.')
            return
        weights = weights_of(checkpoint)
        fit = compare(weights, own)
        parts = tuple(hook.checkpoint_part for hook in runner.hooks if hasattr(hook, 'checkpoint_part'))
        with_schedule = bool(runner.param_schedulers) and had_schedule(checkpoint)
        lacking = missing_parts(checkpoint, with_schedule, others=parts)
        if lacking:
            raise ConfigError(f'The {name} cannot be resumed from (it lacks {", ".join(lacking)}): give a checkpoint '
                              'that a training has saved whole, or start from its weights by load_from without resume.')
        check_sound(oddities(checkpoint), name)
        if not fit.exact:
            raise ConfigError(f'The {name}, saved after epoch {checkpoint["meta"]["epoch"]}, is of another model '
                              f'({fit.differences()}): resume with the config that it was trained with, or start from '
                              'its weights by load_from without resume.')
        check_sound(not_finite('weights', weights), name)
        take_up_settings(runner, checkpoint, name)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep weights that the last step has broken out of the checkpoints, and note what the config does not tell."""
        if odd := not_finite('weights', checkpoint['state_dict']):
            raise TrainingError(f'No checkpoint is written after epoch {runner.epoch + 1} ({odd[0]}): start from the '
                                'weights of the last one, by load_from without --resume, with a lower learning rate.')
        checkpoint['meta']['processes'] = runner.world_size


def _with_momentum_encoder(weights: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A momentum encoder starts as the query encoder's copy, where a checkpoint has only that."""
    inside = {name: value for name, value in own.items() if name.startswith('encoder_k.')}
    if not inside or any(name.startswith('encoder_k.') for name in weights):
        return weights
    for number, part in enumerate((BACKBONE, 'neck.')):
        inside.update((f'encoder_k.module.{number}.{name.removeprefix(part)}', value)
                      for name, value in weights.items() if name.startswith(part))
    return {**weights, **inside}


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
