"""What a resumed training has from its checkpoint (its state) and from its config (its settings)."""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

from mmengine.hooks import ParamSchedulerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.optim import Optimizer

from clim_mm.distributed import unwrapped
from clim_mm.errors import ConfigError, on_one_line

from .normalization import settings_of
from .weights import check_sound, compare, not_finite, weights_of

UNSET = '(not set)'
_COLUMNS = ('setting', 'checkpoint', 'config', 'in force')
_WIDEST = 40  # characters of a value
_PARTS = ('state_dict', 'optimizer', 'message_hub')
_NOT_COMPARED = re.compile(r'(work_dir|load_from|resume|launcher|experiment_name|model_wrapper_cfg|randomness\.seed)'
                           r'(\.|$)')
_OPTIMIZER_TYPE = re.compile(r'optim_wrapper\.(\w+\.)?optimizer\.type')
_MOVE_RATES = ('param_scheduler', 'optim_wrapper')  # settings
_START_ANEW = 'or start from its weights by load_from without resume.'


@dataclass(frozen=True)
class Row:
    """A setting by its dotted name: its values, or ``UNSET``, and the one with which the training goes on."""

    setting: str
    checkpoint: Any
    config: Any
    in_force: Any

    @property
    def differs(self) -> bool:
        """Whether the training goes on with another value than it had."""
        return not bool(_plain(self.checkpoint) == _plain(self.in_force))


def rows(checkpoint: Any, config: Any, setting: str = '') -> Iterator[Row]:
    """A row for each setting of two nested settings, which are at the place ``setting``; the config's is in force."""
    if isinstance(checkpoint, Mapping) and isinstance(config, Mapping):
        for key in dict.fromkeys([*config, *checkpoint]):
            yield from rows(checkpoint.get(key, UNSET), config.get(key, UNSET), f'{setting}.{key}' if setting else key)
    elif isinstance(checkpoint, (list, tuple)) and isinstance(config, (list, tuple)) and any(
            isinstance(item, Mapping) for item in (*checkpoint, *config)):
        for number, (theirs, ours) in enumerate(zip_longest(checkpoint, config, fillvalue=UNSET)):
            yield from rows(theirs, ours, f'{setting}.{number}')
    else:
        yield Row(setting, checkpoint, config, config)


def table(found: Sequence[Row]) -> str:
    """The rows that differ, below each other; the others are counted."""
    different = [(row.setting, _text(row.checkpoint), _text(row.config), _text(row.in_force))
                 for row in found if row.differs]
    lines = [_COLUMNS, *different] if different else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [('  ' + '  '.join(f'{cell:{width}}' for cell, width in zip(line, widths, strict=True))).rstrip()
            for line in lines]
    return '\n'.join([*text, f'  {len(found) - len(different)} other settings equal'])


def check_resumable(runner: Runner, checkpoint: Mapping[str, Any], name: str, parts: Iterable[str]) -> None:
    """Check that a checkpoint is whole, with the ``parts`` that hooks need, finite and of this model."""
    meta = checkpoint.get('meta')
    lacking = [part for part in _PARTS if not isinstance(checkpoint.get(part), Mapping)]
    lacking += [part for part in parts if checkpoint.get(part) is None]
    lacking += [f'meta.{count}' for count in ('epoch', 'iter')
                if not isinstance(meta, Mapping) or not isinstance(meta.get(count), int)]
    if lacking:
        raise ConfigError(f'The {name} cannot be resumed from (it lacks {", ".join(lacking)}): give a checkpoint '
                          f'that a training has saved whole, {_START_ANEW}')
    weights = weights_of(checkpoint)
    fit = compare(weights, unwrapped(runner).state_dict())
    if not fit.exact:
        raise ConfigError(f'The {name}, saved after {progress_of(runner, checkpoint["meta"])}, is of another model '
                          f'({fit.differences()}): resume with the config that it was trained with, {_START_ANEW}')
    check_sound(not_finite('weights', weights) + not_finite('optimizer', checkpoint['optimizer']), name)


def apply_settings(runner: Runner, checkpoint: dict, name: str) -> None:
    """Put the config's settings into a checkpoint that is about to be resumed from, and log them beside its own.

    MMEngine takes the optimizer's settings, the schedules and the seed from the checkpoint, whatever the config says.
    """
    meta, last = checkpoint['meta'], getattr(runner.train_loop, f'max_{_unit(runner)}s')
    if meta[_unit(runner)] >= last:
        runner.logger.warning(f'The training is finished: the {name} was saved after {progress_of(runner, meta)}, and '
                              f'train_cfg.max_{_unit(runner)}s={last}. Set it higher to go on.')
        return
    before, seed = meta.get('seed'), (runner.cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        meta['seed'] = seed
    found = [Row('randomness.seed', before, UNSET if seed is None else seed, meta.get('seed'))]
    if 'processes' in meta:
        found.append(Row('processes', meta['processes'], runner.world_size, runner.world_size))
    if saved := settings_of(meta.get('cfg')):
        found += [row for row in rows(saved, settings_of(runner.cfg.pretty_text))
                  if not _NOT_COMPARED.match(row.setting)]
    else:
        runner.logger.warning(f'The {name} does not tell its config, so that only a part of it can be compared.')
    if isinstance(runner.optim_wrapper, OptimWrapper):
        try:
            found += _resume_optimizers(runner, checkpoint, [row for row in found if row.differs], name)
        except (LookupError, TypeError, AttributeError) as error:
            check_sound([f'its optimizer is none: {type(error).__name__}, {on_one_line(error)}'], name)
    log = runner.logger.warning if any(row.differs for row in found) else runner.logger.info
    log(f'Settings of the {name}, saved after {progress_of(runner, meta)}, and of this training:\n{table(found)}')


def progress_of(runner: Runner, meta: Mapping[str, Any]) -> str:
    """How far a checkpoint's training had come, in the unit in which this one counts: ``epoch 3``."""
    return f'{_unit(runner)} {meta[_unit(runner)]}'


def _unit(runner: Runner) -> str:
    return 'iter' if isinstance(runner.train_loop, IterBasedTrainLoop) else 'epoch'


def _resume_optimizers(runner: Runner, checkpoint: dict, changed: Sequence[Row], name: str) -> list[Row]:
    """Give optimizers and schedules the config's settings, as if they had had them from the start."""
    for row in changed:
        theirs, ours = (str(value).rpartition('.')[2] for value in (row.checkpoint, row.config))
        if _OPTIMIZER_TYPE.fullmatch(row.setting) and theirs != ours:
            raise ConfigError(f'The {name} was trained with {theirs}, whose state is of no use to {ours}: resume '
                              f'with the optimizer that it was trained with, {_START_ANEW}')
    parts = runner.param_schedulers or []
    schedules = [*chain(*parts.values())] if isinstance(parts, dict) else parts
    if any(getattr(schedule, 'need_val_args', False) for schedule in schedules):  # MMEngine resumes all of them
        if any(row.setting.startswith(_MOVE_RATES) for row in changed):
            raise ConfigError('A schedule that follows what validations have measured cannot go on with other '
                              f'settings: resume with those of the checkpoint, {_START_ANEW}')
        return []
    checkpoint.pop('param_schedulers', None)  # so that MMEngine leaves them where they are
    if any(isinstance(hook, ParamSchedulerHook) for hook in runner.hooks):
        epochs, iterations = (checkpoint['meta'][unit] for unit in ('epoch', 'iter'))
        replay(schedules, *((0, iterations) if _unit(runner) == 'iter' else (epochs, len(runner.train_dataloader))))
    optim, saved = runner.optim_wrapper, checkpoint['optimizer']
    if isinstance(optim, OptimWrapperDict):
        return [_resume_optimizer(wrapper.optimizer, saved[key], name) for key, wrapper in optim.items()]
    return [_resume_optimizer(optim.optimizer, saved, name)]


def replay(schedules: Sequence[Any], epochs: int, iterations: int) -> None:
    """Step schedules as a training does, by 0 epochs if by iterations: MMEngine's make each value of the one before."""
    by_epoch = [schedule for schedule in schedules if schedule.by_epoch and epochs]
    by_iteration = [schedule for schedule in schedules if not schedule.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer makes no steps meanwhile
        for _ in range(max(epochs, 1)):
            for schedule in by_iteration * iterations + by_epoch:
                schedule.step()


def _resume_optimizer(optimizer: Optimizer, saved: dict, name: str) -> Row:
    """Give an optimizer's saved state the settings of the optimizer; tell the next learning rate."""
    theirs, ours = saved['param_groups'], optimizer.param_groups
    if [len(group['params']) for group in theirs] != [len(group['params']) for group in ours]:
        raise ConfigError(f'The optimizer of the {name} has the weights in other groups than this config\'s '
                          f'({len(theirs)}, not {len(ours)}, or of other sizes): resume with the '
                          f'optim_wrapper.paramwise_cfg that it was trained with, {_START_ANEW}')
    saved['param_groups'] = [dict(own, params=other['params']) for other, own in zip(theirs, ours, strict=True)]
    saved.pop('base_param_settings', None)  # a group that MMEngine adds to several: its own is right
    before, after = ([group.get('lr') for group in groups] for groups in (theirs, ours))
    return Row('lr of the next step', *((before, after, after) if len(ours) > 1 else (*before, *after, *after)))


def _plain(value: Any) -> Any:
    """Lists and tuples count as equal."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _text(value: Any) -> str:
    text = ' '.join(str(_plain(value)).split())
    return text if len(text) <= _WIDEST else f'{text[:_WIDEST // 2 - 3]}...{text[-_WIDEST // 2:]}'
