"""What a resumed training has from its checkpoint (its state) and from its config (its settings)."""

import itertools
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.hooks import ParamSchedulerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.optim import Optimizer

from clim_mm.checkpoints.comparison import UNSET, Row, rows, table
from clim_mm.checkpoints.config_text import settings_in
from clim_mm.checkpoints.contents import check_sound, not_finite, oddities
from clim_mm.checkpoints.fit import compare, weights_of
from clim_mm.checkpoints.optimizer_state import keeps_state, state_misfits
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError

_PARTS = ('state_dict', 'optimizer', 'message_hub')
_NOT_COMPARED = re.compile(r'(work_dir|load_from|resume|launcher|experiment_name|model_wrapper_cfg|randomness\.seed)'
                           r'(\.|$)')
_OPTIMIZER_TYPE = re.compile(r'optim_wrapper\.(\w+\.)?optimizer\.type')
_MOVE_RATES = ('param_scheduler', 'optim_wrapper')  # settings
_START_ANEW = 'or start from its weights by load_from without resume.'


def check_resumable(runner: Runner, checkpoint: Mapping[str, Any], name: str, parts: Iterable[str]) -> None:
    """Check that a checkpoint is whole, sound and of this model.

    Args:
        runner: Of the training that is to go on.
        checkpoint: Content of the file.
        name: By which sentences call it.
        parts: Keys that hooks need, beside MMEngine's.

    Raises:
        ConfigError: If it is not.
    """
    lacking = [part for part in (*_PARTS, *parts) if checkpoint.get(part) is None]
    lacking += [f'meta.{count}' for count in ('epoch', 'iter') if count not in (checkpoint.get('meta') or {})]
    if lacking:
        raise ConfigError(f'The {name} cannot be resumed from (it lacks {", ".join(lacking)}): give a checkpoint '
                          f'that a training has saved whole, {_START_ANEW}')
    check_sound(oddities(checkpoint), name)
    weights = weights_of(checkpoint)
    fit = compare(weights, unwrapped(runner).state_dict())
    if not fit.exact:
        raise ConfigError(f'The {name}, saved after {progress_of(runner, checkpoint["meta"])}, is of another model '
                          f'({fit.differences()}): resume with the config that it was trained with, {_START_ANEW}')
    check_sound(not_finite('weights', weights), name)


def apply_settings(runner: Runner, checkpoint: dict, name: str) -> None:
    """Put the config's settings into a checkpoint that is about to be resumed from, and log them beside its own.

    MMEngine takes the optimizer's settings, the schedules and the seed from the checkpoint, whatever the config says.

    Args:
        runner: Its optimizers and schedules are built.
        checkpoint: Content of the file; changed in place.
        name: By which sentences call it.

    Raises:
        ConfigError: If the training ends earlier, or the optimizer's state is of no use to this one.
    """
    meta = checkpoint['meta']
    if _is_finished(runner, meta, name):
        return
    before, seed = meta.get('seed'), (runner.cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        meta['seed'] = seed
    found = [Row('randomness.seed', before, UNSET if seed is None else seed, meta.get('seed'))]
    if 'processes' in meta:
        found.append(Row('processes', meta['processes'], runner.world_size, runner.world_size))
    if theirs := settings_in(meta.get('cfg')):
        found += [row for row in rows(theirs, settings_in(runner.cfg.pretty_text))
                  if not _NOT_COMPARED.match(row.setting)]
    else:
        runner.logger.warning(f'The {name} does not tell its config, so that only a part of it can be compared.')
    if isinstance(optim := runner.optim_wrapper, OptimWrapper):
        changed = [row for row in found if row.differs]
        _check_optimizer_type(changed, name)
        kept = _resume_schedules(runner, checkpoint, changed)
        states = checkpoint['optimizer']
        several = dict(optim.items()) if isinstance(optim, OptimWrapperDict) else {}
        for key, wrapper, state in [(f'{key}.', wrapper, states.get(key, {})) for key, wrapper in several.items()] or [
                ('', optim, states)]:
            _check_state(wrapper.optimizer, state, name)
            found.append(_resume_optimizer(wrapper.optimizer, state, kept, key))
            check_sound(state_misfits(wrapper.optimizer, state['param_groups'], state['state']), name)
            _tell_lost_state(runner, wrapper.optimizer, state, name)
    log = runner.logger.warning if any(row.differs for row in found) else runner.logger.info
    log(f'Settings of the {name}, saved after {progress_of(runner, meta)}, and of this training:\n{table(found)}')


def progress_of(runner: Runner, meta: Mapping[str, Any]) -> str:
    """How far a checkpoint's training had come, in the unit in which this one counts: ``epoch 3``."""
    return f'{_unit(runner)} {meta[_unit(runner)]}'


def _unit(runner: Runner) -> str:
    return 'iter' if isinstance(runner.train_loop, IterBasedTrainLoop) else 'epoch'


def _is_finished(runner: Runner, meta: Mapping[str, Any], name: str) -> bool:
    unit = _unit(runner)
    last = getattr(runner.train_loop, f'max_{unit}s')
    setting = f'train_cfg.max_{unit}s={last}'
    if meta[unit] > last:
        raise ConfigError(f'The {name} was saved after {unit} {meta[unit]}, and {setting} ends before: set it '
                          'higher to go on, or give an earlier checkpoint.')
    if meta[unit] == last:
        runner.logger.warning(f'The training is finished: the {name} was saved after the last {unit} of {setting}. '
                              'Set it higher to go on.')
    return bool(meta[unit] == last)


def _check_optimizer_type(changed: Iterable[Row], name: str) -> None:
    for row in changed:
        theirs, ours = (str(value).rpartition('.')[2] for value in (row.checkpoint, row.config))
        if _OPTIMIZER_TYPE.fullmatch(row.setting) and theirs != ours:
            raise ConfigError(f'The {name} was trained with {theirs}, whose state is of no use to {ours}: resume with '
                              f'the optimizer that it was trained with, {_START_ANEW}')


def _check_state(optimizer: Optimizer, saved: Mapping[str, Any], name: str) -> None:
    """Check that an optimizer's saved state is one, and has the weights in the same groups."""
    groups, state, ours = saved.get('param_groups'), saved.get('state'), optimizer.param_groups
    scale = saved.get('loss_scaler', {}).get('scale', 1)
    odd = []
    if not isinstance(groups, list) or not groups or not all(
            isinstance(group, Mapping) and isinstance(group.get('params'), list) for group in groups):
        odd.append('its optimizer.param_groups are no groups of weights')
    if not isinstance(state, Mapping) or not all(isinstance(part, Mapping) for part in state.values()):
        odd.append('its optimizer.state is no state of weights')
    elif not state and keeps_state(optimizer, ours[0]):
        odd.append('its optimizer.state is empty')
    if not 0 < scale < math.inf:
        odd.append(f'its loss_scaler.scale is {scale}')
    check_sound(odd, name)
    if [len(group['params']) for group in groups] != [len(group['params']) for group in ours]:
        raise ConfigError(f'The optimizer of the {name} has the weights in other groups than this config\'s '
                          f'({len(groups)}, not {len(ours)}, or of other sizes): resume with the '
                          f'optim_wrapper.paramwise_cfg that it was trained with, {_START_ANEW}')


def _resume_schedules(runner: Runner, checkpoint: dict, changed: Iterable[Row]) -> set[str]:
    """Move the schedules to where they stand in a training that has had them from its start.

    Returns:
        Settings of the optimizer's groups to be taken from the checkpoint: those that follow validations.
    """
    parts = runner.param_schedulers or []
    schedules = [*itertools.chain(*parts.values())] if isinstance(parts, dict) else parts
    if any(getattr(schedule, 'need_val_args', False) for schedule in schedules):
        if not checkpoint.get('param_schedulers') or any(row.setting.startswith(_MOVE_RATES) for row in changed):
            raise ConfigError('A schedule that follows what validations have measured cannot go on with other '
                              f'settings: resume with those of the checkpoint, {_START_ANEW}')
        return {schedule.param_name for schedule in schedules}
    if any(isinstance(hook, ParamSchedulerHook) for hook in runner.hooks):
        meta = checkpoint['meta']
        replay(schedules, *(
            (0, meta['iter']) if _unit(runner) == 'iter' else (meta['epoch'], len(runner.train_dataloader))))
    states = {key: [schedule.state_dict() for schedule in part]
              for key, part in (parts.items() if isinstance(parts, dict) else [('', parts)])}
    checkpoint['param_schedulers'] = states if isinstance(parts, dict) else states['']
    return set()


def replay(schedules: Sequence[Any], epochs: int, iterations: int) -> None:
    """Step schedules as a training does: MMEngine's make each value out of the one before.

    Args:
        schedules: As they are built.
        epochs: 0 for a training by iterations, in which no epoch ends.
        iterations: Of each epoch, or of the training.
    """
    by_epoch = [schedule for schedule in schedules if schedule.by_epoch]
    by_iteration = [schedule for schedule in schedules if not schedule.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer makes no steps meanwhile
        for _ in range(max(epochs, 1)):
            for _ in range(iterations if by_iteration else 0):
                for schedule in by_iteration:
                    schedule.step()
            for schedule in by_epoch if epochs else []:
                schedule.step()


def _resume_optimizer(optimizer: Optimizer, saved: dict, kept: Iterable[str], key: str) -> Row:
    """Give a saved state the groups of an optimizer, but for ``kept``; the learning rates before and after."""
    pairs = list(zip(saved['param_groups'], optimizer.param_groups, strict=True))
    saved['param_groups'] = [dict(ours, **{setting: theirs[setting] for setting in ('params', *kept)})
                             for theirs, ours in pairs]
    if not kept:
        saved.pop('base_param_settings', None)  # a group that MMEngine adds to several: it has its own
    before, after = ([group.get('lr') for group in groups] for groups in (
        [theirs for theirs, _ in pairs], saved['param_groups']))
    if len(pairs) == 1:
        before, after = before[0], after[0]
    return Row(f'{key}lr of the next step', before, after, after)


def _tell_lost_state(runner: Runner, optimizer: Optimizer, saved: Mapping[str, Any], name: str) -> None:
    """Warn of weights that are trained and of which the state knows nothing, while it knows others."""
    known = saved['state']
    lost = sum(weight.requires_grad and number not in known
               for group, own in zip(saved['param_groups'], optimizer.param_groups, strict=True)
               for number, weight in zip(group['params'], own['params'], strict=True)) if known else 0
    if lost:
        runner.logger.warning(f'The {name} has no state of the optimizer for {lost} weights that are trained: theirs '
                              'begins anew.')
