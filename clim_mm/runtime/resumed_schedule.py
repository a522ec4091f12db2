"""How the schedules of learning rate and momentum stand where a training goes on."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from clim_mm.checkpoints.saved_settings import UNSET, Row, rows
from clim_mm.errors import ConfigError

# What moves in a schedule's state, and what the optimizer's settings decide; the rest are its own settings.
_MOVING = ('last_step', '_global_step', '_last_value', 'base_values', 'verbose', 'best', 'cooldown_counter',
           'num_bad_epochs')


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, or a tensor of one."""
    value = value.item() if hasattr(value, 'item') else value
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def schedule_rows(place: str, schedules: Sequence[Any], saved: Sequence[Any], types: Sequence[str]) -> Iterator[Row]:
    """The settings of an optimizer's schedules, those of the checkpoint and those of the config.

    Args:
        place: Of the schedules in the config.
        schedules: Of the Runner, as they are built.
        saved: Their states in the checkpoint.
        types: The classes that the checkpoint's config names; empty if it does not tell.
    """
    for number in range(max(len(schedules), len(saved))):
        theirs, own, before, after = UNSET, UNSET, {}, {}
        if number < len(schedules):
            own, after = type(schedules[number]).__name__, _settings(schedules[number].state_dict())
        if number < len(saved):
            before = _settings(saved[number])
            theirs = types[number] if number < len(types) else own if before.keys() == after.keys() else 'another'
        yield Row(f'{place}.{number}.type', theirs, own, own)
        if theirs == own:
            yield from rows(before, after, f'{place}.{number}')


def _settings(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: sorted(value.elements()) if isinstance(value, Counter) else value  # milestones, as they are written
            for key, value in state.items() if key not in _MOVING}


def is_state(saved: Any) -> bool:
    """Whether ``saved`` is of the kind that a schedule's state is."""
    return (isinstance(saved, Mapping)
            and all(isinstance(saved.get(key), int) for key in ('last_step', '_global_step'))
            and all(isinstance(saved.get(key, []), list) for key in ('base_values', '_last_value'))
            and all(map(is_number, [*saved.get('base_values', []), *saved.get('_last_value', [])])))


def goes_on(schedule: Any, saved: Any, epochs: int, iterations: int) -> bool:
    """Whether a schedule's state in the checkpoint is one that the config's would have there.

    Args:
        schedule: Of the Runner, as it is built.
        saved: Its state in the checkpoint.
        epochs, iterations: As for ``replay``.
    """
    own = schedule.state_dict()
    return (_settings(saved) == _settings(own) and saved.get('base_values') == own.get('base_values')
            and saved['_global_step'] == (epochs if schedule.by_epoch else iterations))


def replay(schedules: Sequence[Any], epochs: int, iterations: int) -> None:
    """Bring schedules to where they are in a training that has had them from its start.

    MMEngine's schedules make each value out of the one before, so that they take every step.

    Args:
        schedules: As they are built.
        epochs: That are behind; 0 in a training by iterations.
        iterations: That are behind, as many in each epoch.

    Raises:
        ConfigError: If one follows what validations have measured.
    """
    for schedule in schedules:
        if getattr(schedule, 'need_val_args', False):
            raise ConfigError(f'{type(schedule).__name__} follows what validations have measured, and cannot be taken '
                              'up with other settings: resume with those of the checkpoint, or start from its weights '
                              'by load_from without resume.')
    by_epoch = [schedule for schedule in schedules if schedule.by_epoch and epochs]
    by_iteration = [schedule for schedule in schedules if not schedule.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the optimizer makes no steps meanwhile
        for _ in range(max(epochs, 1)):
            for _ in range(iterations // max(epochs, 1) if by_iteration else 0):
                for schedule in by_iteration:
                    schedule.step()
            for schedule in by_epoch:
                schedule.step()
