"""Hook that compares a loaded checkpoint with what it is to go into."""

from collections.abc import Mapping
from typing import Any

from mmengine.runner import Runner

from clim_mm.checkpoints.backbone import BACKBONE, Published, published
from clim_mm.checkpoints.resume_checks import check_sound
from clim_mm.checkpoints.weights import check_start, compare, not_finite, weights_of
from clim_mm.distributed import unwrapped
from clim_mm.protocols import UpgradesState
from clim_mm.registry import HOOKS
from clim_mm.runtime.resume_guard_hook import ResumeGuardHook, name_of_checkpoint


@HOOKS.register_module()
class CheckpointGuardHook(ResumeGuardHook):
    """Refuses a checkpoint that does not fit, before anything of it is in the model.

    A run that is resumed must find all of its weights, as for ``ResumeGuardHook``; a run that merely starts from other
    weights must find some, and none of another shape.

    Raises:
        ConfigError: If the checkpoint does not fit.
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
        has_backbone = any(key.startswith(BACKBONE) for key in own)
        start = published(checkpoint) if has_backbone else Published(weights_of(checkpoint))
        name = name_of_checkpoint(runner) + start.origin
        fit = compare(start.weights, own)
        check_start(fit, name)
        check_sound(not_finite('weights', start.weights), name)
        weights = _with_momentum_encoder(start.weights, own)
        if weights.keys() != checkpoint.get('state_dict', {}).keys():
            checkpoint['state_dict'] = weights
        runner.logger.info(f'{len(fit.matched)} of the model\'s {len(fit.matched) + len(fit.missing)} weights come '
                           f'from the {name}, which has {len(fit.unexpected)} more.')


def _with_momentum_encoder(weights: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A momentum encoder starts as the query encoder's copy, where a checkpoint has only that."""
    inside = {name: value for name, value in own.items() if name.startswith('encoder_k.')}
    if not inside or any(name.startswith('encoder_k.') for name in weights):
        return weights
    for number, part in enumerate((BACKBONE, 'neck.')):
        inside.update((f'encoder_k.module.{number}.{name.removeprefix(part)}', value)
                      for name, value in weights.items() if name.startswith(part))
    return {**weights, **inside}
