"""How a training goes on from a checkpoint: with the checkpoint's state, and with the config's settings."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import ParamSchedulerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner

from clim_mm.checkpoints.resume_checks import check_sound
from clim_mm.checkpoints.saved_settings import UNSET, Row, rows, settings_in, table
from clim_mm.errors import ConfigError

from .resumed_optimizer import ResumedOptimizer

# What decides nothing, and what is compared as it stands in the checkpoint instead of by the config's words.
_LEFT_OUT = re.compile(r'(work_dir|load_from|resume|launcher|experiment_name|model_wrapper_cfg|randomness\.seed'
                       r'|param_scheduler|optim_wrapper\.(\w+\.)?optimizer)(\.|$)')


def take_up_settings(runner: Runner, checkpoint: dict, name: str) -> None:
    """Put the config's settings into a checkpoint that is about to be resumed from, and log them beside its own.

    MMEngine takes the optimizer's settings, the schedules and the seed from the checkpoint, whatever the config says.

    Args:
        runner: Whose optimizers and schedules are built.
        checkpoint: What its file holds, whole; it is changed in place.
        name: By which sentences call it.

    Raises:
        ConfigError: If the training ends before, or something of the checkpoint is of no use with the config.
    """
    meta = checkpoint['meta']
    if _is_finished(runner, meta, name):
        return
    theirs, ours = settings_in(meta.get('cfg')), settings_in(runner.cfg.pretty_text)
    found = [*_seed_rows(runner, meta)]
    if 'processes' in meta:
        found.append(Row('processes', meta['processes'], runner.world_size, runner.world_size))
    for optimizer in _optimizers(runner, checkpoint, theirs, ours):
        check_sound(optimizer.oddities(), name)
        optimizer.check_kind(name)
        found += optimizer.take_up()
        check_sound(optimizer.misfits(), name)
        if number := optimizer.without_state():
            runner.logger.warning(f'The {name} has no state of the optimizer for {number} weights that are trained: '
                                  'theirs begins anew.')
    if theirs:
        found += [row for row in rows(theirs, ours) if not _LEFT_OUT.match(row.setting)]
    else:
        runner.logger.warning(f'The {name} does not tell its config, so that only a part of it can be compared.')
    log = runner.logger.warning if any(row.differs for row in found) else runner.logger.info
    log(f'Settings of the {name}, saved after {reached(runner, meta)}, and of this training:\n{table(found)}')


def reached(runner: Runner, meta: Mapping[str, Any]) -> str:
    """How far a checkpoint's training had come, in words, by the unit in which this one counts."""
    unit = _unit(runner)
    return f'{unit} {meta[unit]}'


def had_schedule(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's training had schedules, as far as its config tells."""
    meta = checkpoint.get('meta')
    settings = settings_in(meta.get('cfg')) if isinstance(meta, Mapping) else {}
    return not settings or bool(settings.get('param_scheduler'))


def _unit(runner: Runner) -> str:
    return 'iter' if isinstance(runner.train_loop, IterBasedTrainLoop) else 'epoch'


def _is_finished(runner: Runner, meta: Mapping[str, Any], name: str) -> bool:
    """Whether nothing is left to train; a sentence says so."""
    unit = _unit(runner)
    most = getattr(runner.train_loop, f'max_{unit}s')
    if meta[unit] < most:
        return False
    setting = f'train_cfg.max_{unit}s={most}'
    if meta[unit] > most:
        raise ConfigError(f'The {name} was saved after {reached(runner, meta)}, and {setting} ends before: set it '
                          'higher to go on, or give an earlier checkpoint.')
    runner.logger.warning(f'The training is finished: the {name} was saved after the last {unit} of {setting}. Set it '
                          'higher to go on.')
    return True


def _seed_rows(runner: Runner, meta: dict) -> Iterator[Row]:
    """The config's seed is in force if it has one, from the next epoch on."""
    saved, seed = meta.get('seed'), (runner.cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        meta['seed'] = seed
    yield Row('randomness.seed', saved, UNSET if seed is None else seed, meta.get('seed'))


def _optimizers(runner: Runner, checkpoint: dict, theirs: Mapping, ours: Mapping) -> list[ResumedOptimizer]:
    """Those of the Runner, if it has built them."""
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper):
        return []
    several = isinstance(wrapper, OptimWrapperDict)

    def part(whole: Any, name: str) -> Any:
        return whole.get(name) if several and isinstance(whole, Mapping) else whole

    wrappers = dict(wrapper.items()) if several else {'': wrapper}
    if runner.param_schedulers and checkpoint.get('param_schedulers') is None:
        checkpoint['param_schedulers'] = {name: [] for name in wrappers} if several else []
    epochs, iterations = _behind(runner, checkpoint['meta'])
    return [
        ResumedOptimizer(
            name=f'{name}.' if several else '',
            wrapper=own,
            schedules=part(runner.param_schedulers, name) or [],
            saved=part(checkpoint['optimizer'], name),
            saved_schedules=part(checkpoint.get('param_schedulers', []), name),
            types=[_types((part(cfg.get('optim_wrapper'), name) or {}).get('optimizer')) for cfg in (theirs, ours)],
            schedule_types=_types(part(theirs.get('param_scheduler'), name)),
            epochs=epochs,
            iterations=iterations) for name, own in wrappers.items()]


def _behind(runner: Runner, meta: Mapping[str, Any]) -> tuple[int, int]:
    """The epochs and iterations after which the schedules stand, if the training moves them at all."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return 0, meta['iter']
    if not any(isinstance(hook, ParamSchedulerHook) for hook in runner.hooks):
        return 0, 0
    return meta['epoch'], meta['epoch'] * len(runner.train_dataloader)


def _types(part: Any) -> list[str]:
    """The classes that a config's dicts name, without scope or module."""
    dicts = list(part) if isinstance(part, (list, tuple)) else [part]
    return [str(each['type']).rpartition('.')[2] for each in dicts if isinstance(each, Mapping) and 'type' in each]
