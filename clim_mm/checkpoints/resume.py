"""What a resumed training has from its checkpoint (its state) and from its config (its settings)."""

import itertools
import math
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from mmengine.hooks import ParamSchedulerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.optim import Optimizer

from clim_mm.checkpoints.resume_checks import check_sound, keeps_state, oddities, state_misfits
from clim_mm.checkpoints.saved_settings import UNSET, Row, rows, settings_in, table
from clim_mm.checkpoints.weights import compare, not_finite, weights_of
from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, on_one_line

_PARTS = ('state_dict', 'optimizer', 'message_hub')
_NOT_COMPARED = re.compile(r'(work_dir|load_from|resume|launcher|experiment_name|model_wrapper_cfg|randomness\.seed)'
                           r'(\.|$)')
_OPTIMIZER_TYPE = re.compile(r'optim_wrapper\.(\w+\.)?optimizer\.type')
_MOVE_RATES = ('param_scheduler', 'optim_wrapper')  # settings
_START_ANEW = 'or start from its weights by load_from without resume.'


def check_resumable(runner: Runner, checkpoint: Mapping[str, Any], name: str, parts: Iterable[str]) -> None:
    """Check that a checkpoint is whole, with the ``parts`` that hooks need, sound and of this model."""
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
    if saved := settings_in(meta.get('cfg')):
        found += [row for row in rows(saved, settings_in(runner.cfg.pretty_text))
                  if not _NOT_COMPARED.match(row.setting)]
    else:
        runner.logger.warning(f'The {name} does not tell its config, so that only a part of it can be compared.')
    if isinstance(optim := runner.optim_wrapper, OptimWrapper):
        changed = [row for row in found if row.differs]
        for row in changed:
            theirs, ours = (str(value).rpartition('.')[2] for value in (row.checkpoint, row.config))
            if _OPTIMIZER_TYPE.fullmatch(row.setting) and theirs != ours:
                raise ConfigError(f'The {name} was trained with {theirs}, whose state is of no use to {ours}: resume '
                                  f'with the optimizer that it was trained with, {_START_ANEW}')
        kept = _resume_schedules(runner, checkpoint, changed)
        several = isinstance(optim, OptimWrapperDict)
        try:
            for key, wrapper in optim.items() if several else [('', optim)]:
                state = checkpoint['optimizer'][key] if several else checkpoint['optimizer']
                found.append(_resume_optimizer(runner, wrapper.optimizer, state, kept, f'{name}{key and ", " + key}'))
        except (LookupError, TypeError, AttributeError) as error:
            check_sound([f'its optimizer is none: {type(error).__name__}, {on_one_line(error)}'], name)
    log = runner.logger.warning if any(row.differs for row in found) else runner.logger.info
    log(f'Settings of the {name}, saved after {progress_of(runner, meta)}, and of this training:\n{table(found)}')


def progress_of(runner: Runner, meta: Mapping[str, Any]) -> str:
    """How far a checkpoint's training had come, in the unit in which this one counts: ``epoch 3``."""
    return f'{_unit(runner)} {meta[_unit(runner)]}'


def _unit(runner: Runner) -> str:
    return 'iter' if isinstance(runner.train_loop, IterBasedTrainLoop) else 'epoch'


def _is_finished(runner: Runner, meta: Mapping[str, Any], name: str) -> bool:
    unit = _unit(runner)
    now, last = meta[unit], getattr(runner.train_loop, f'max_{unit}s')
    if now > last:
        raise ConfigError(f'The {name} was saved after {unit} {now}, and train_cfg.max_{unit}s={last} ends before: set '
                          'it higher to go on, or give an earlier checkpoint.')
    if now == last:
        runner.logger.warning(f'The training is finished: the {name} was saved after the last {unit} of '
                              f'train_cfg.max_{unit}s={last}. Set it higher to go on.')
    return bool(now == last)


def _resume_schedules(runner: Runner, checkpoint: dict, changed: Iterable[Row]) -> Collection[str]:
    """Move the schedules to where they would be in a training that has had them from its start.

    Returns the settings of the optimizer's groups that must come from the checkpoint, since they follow validations.
    """
    parts = runner.param_schedulers or []
    schedules = [*itertools.chain(*parts.values())] if isinstance(parts, dict) else parts
    if any(getattr(schedule, 'need_val_args', False) for schedule in schedules):
        if not checkpoint.get('param_schedulers') or any(row.setting.startswith(_MOVE_RATES) for row in changed):
            raise ConfigError('A schedule that follows what validations have measured cannot go on with other '
                              f'settings: resume with those of the checkpoint, {_START_ANEW}')
        return {schedule.param_name for schedule in schedules}
    checkpoint.pop('param_schedulers', None)  # so that MMEngine leaves them where they are
    if any(isinstance(hook, ParamSchedulerHook) for hook in runner.hooks):
        epochs, iterations = (checkpoint['meta'][unit] for unit in ('epoch', 'iter'))
        replay(schedules, *((0, iterations) if _unit(runner) == 'iter' else (epochs, len(runner.train_dataloader))))
    return ()


def replay(schedules: Sequence[Any], epochs: int, iterations: int) -> None:
    """Step schedules as a training does, by 0 epochs if by iterations: MMEngine's make each value of the one before."""
    by_epoch = [schedule for schedule in schedules if schedule.by_epoch and epochs]
    by_iteration = [schedule for schedule in schedules if not schedule.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer makes no steps meanwhile
        for _ in range(max(epochs, 1)):
            for schedule in by_iteration * iterations + by_epoch:
                schedule.step()


def _resume_optimizer(runner: Runner, optimizer: Optimizer, saved: dict, kept: Collection[str], name: str) -> Row:
    """Give an optimizer's saved state the settings of the optimizer, but for ``kept``; tell the next learning rate."""
    theirs, ours, state = saved['param_groups'], optimizer.param_groups, saved['state']
    if [len(group['params']) for group in theirs] != [len(group['params']) for group in ours]:
        raise ConfigError(f'The optimizer of the {name} has the weights in other groups than this config\'s '
                          f'({len(theirs)}, not {len(ours)}, or of other sizes): resume with the '
                          f'optim_wrapper.paramwise_cfg that it was trained with, {_START_ANEW}')
    if not 0 < (scale := saved.get('loss_scaler', {}).get('scale', 1)) < math.inf:  # no step would ever be made
        check_sound([f'its loss_scaler.scale is {scale}'], name)
    if not state and keeps_state(optimizer, ours[0]):
        check_sound(['its optimizer.state is empty'], name)
    groups = [dict(own, **{setting: other[setting] for setting in ('params', *kept)})
              for other, own in zip(theirs, ours, strict=True)]
    check_sound(state_misfits(optimizer, groups, state), name)
    lost = sum(weight.requires_grad and number not in state for group, own in zip(groups, ours, strict=True)
               for number, weight in zip(group['params'], own['params'], strict=True))
    if state and lost:
        runner.logger.warning(f'The {name} has no state of the optimizer for {lost} weights that are trained: theirs '
                              'begins anew.')
    saved['param_groups'] = groups
    if not kept:
        saved.pop('base_param_settings', None)  # a group that MMEngine adds to several: its own is right
    before, after = ([group.get('lr') for group in each] for each in (theirs, groups))
    return Row('lr of the next step', *((before, after, after) if len(groups) > 1 else (*before, *after, *after)))
