"""How an optimizer goes on from a checkpoint: with its state, and with the config's settings."""

import math
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from clim_mm.checkpoints.resume_checks import keeps_state, state_misfits
from clim_mm.checkpoints.saved_settings import UNSET, Row
from clim_mm.errors import ConfigError

from .resumed_schedule import goes_on, is_number, is_state, replay, schedule_rows

_DERIVED = ('initial_', 'max_', 'min_')  # what schedules add to the settings of a group begins so


@dataclass(frozen=True)
class ResumedOptimizer:
    """An optimizer with its schedules, and what a checkpoint has of them.

    Attributes:
        name: By which it is told from others, with a dot at the end; empty for the only one.
        wrapper: MMEngine's, as it is built.
        schedules: Of its learning rate and momentum, as they are built.
        saved: Its state in the checkpoint.
        saved_schedules: The schedules' states in the checkpoint.
        types: Its class by the checkpoint's config and by this one; nothing where that does not tell.
        schedule_types: The schedules' classes by the checkpoint's config; empty if that does not tell.
        epochs, iterations: That are behind, as for ``replay``.
    """

    name: str
    wrapper: Any
    schedules: Sequence[Any]
    saved: dict[str, Any]
    saved_schedules: Any
    types: Sequence[Sequence[str]]
    schedule_types: Sequence[str]
    epochs: int
    iterations: int

    @property
    def _groups(self) -> tuple[list[dict], list[dict]]:
        """The checkpoint's and the Runner's; MMEngine adds one of its own where there are several."""
        base = self.saved.get('base_param_settings')
        return [*self.saved['param_groups'], *([] if base is None else [base])], self.wrapper.param_groups

    def oddities(self) -> list[str]:
        """What a training does not save like this, in a few words each."""
        groups, state, schedules = self.saved.get('param_groups'), self.saved.get('state'), self.saved_schedules
        scaler = self.saved.get('loss_scaler', {})
        if not isinstance(groups, list) or not groups or not all(map(_is_group, groups)):
            return ['its optimizer.param_groups are no groups of weights with finite settings']
        if not isinstance(state, Mapping) or not all(isinstance(part, Mapping) for part in state.values()):
            return ['its optimizer.state is no state of weights']
        if not state and keeps_state(self.wrapper.optimizer, groups[0]):
            return ['its optimizer.state is empty']
        if not isinstance(scaler, Mapping) or not all(map(is_number, scaler.values())) or scaler.get('scale', 1) <= 0:
            return [f'its loss_scaler is {reprlib.repr(scaler)}']
        if not isinstance(schedules, list) or not all(map(is_state, schedules)):
            return ['its param_schedulers are no states of schedules']
        if self.schedule_types and len(schedules) != len(self.schedule_types):
            return [f'it has {len(schedules)} param_schedulers, and its config {len(self.schedule_types)}']
        return []

    def check_kind(self, checkpoint: str) -> None:
        """Check that the state is of an optimizer of this kind.

        Args:
            checkpoint: What it is called.

        Raises:
            ConfigError: If it is of another class, or has the weights in other groups.
        """
        theirs, ours = self.saved['param_groups'], self.wrapper.optimizer.param_groups
        names = [{key for key in groups[0] if not key.startswith((*_DERIVED, 'param'))} for groups in (theirs, ours)]
        another = names[0] - names[1] and names[1] - names[0]
        if self.types[0] != self.types[1] if all(self.types) else another:
            raise ConfigError(
                f'The {checkpoint} was trained with {" ".join(self.types[0]) or "another optimizer"}, whose state is '
                f'of no use to {type(self.wrapper.optimizer).__name__}: resume with the optimizer that it was trained '
                'with, or start from its weights by load_from without resume.')
        if [len(group['params']) for group in theirs] != [len(group['params']) for group in ours]:
            raise ConfigError(
                f'The optimizer of the {checkpoint} has the weights in other groups than this config\'s ('
                f'{len(theirs)}, not {len(ours)}, or of other sizes): resume with the optim_wrapper.paramwise_cfg '
                'that it was trained with, or start from its weights by load_from without resume.')

    def take_up(self) -> list[Row]:
        """Put the config's settings into the checkpoint's state, and tell them all.

        Schedules that are not where the config's would be are replayed from the start.

        Raises:
            ConfigError: As ``replay``.
        """
        theirs, ours = self._groups
        place = f'param_scheduler.{self.name}'.rstrip('.')
        of_schedules = [*schedule_rows(place, self.schedules, self.saved_schedules, self.schedule_types)]
        names = {schedule.param_name for schedule in self.schedules}
        found = [*_setting_rows(f'optim_wrapper.{self.name}optimizer', theirs, ours), *of_schedules]
        if any(row.differs for row in of_schedules) or not self._schedules_go_on(names):
            replay(self.schedules, self.epochs, self.iterations)
            self.saved_schedules[:] = [schedule.state_dict() for schedule in self.schedules]
            found += [row for name in sorted(names | {'lr'})
                      for row in _rows(f'{name} of the next step', *(
                          [group.get(name, UNSET) for group in groups] for groups in (theirs, ours)))]
            names = set()
        taken = [dict(own, **{key: group[key] for key in ('params', *names)})
                 for own, group in zip(ours, theirs, strict=False)]
        self.saved['param_groups'] = taken[:len(self.saved['param_groups'])]
        if getattr(self.wrapper, 'base_param_settings', None) is not None:
            self.saved['base_param_settings'] = taken[-1] if len(theirs) == len(ours) else ours[-1]
        return found

    def _schedules_go_on(self, names: set[str]) -> bool:
        theirs, ours = self._groups
        if len(theirs) != len(ours) or not all(
                goes_on(schedule, saved, self.epochs, self.iterations)
                for schedule, saved in zip(self.schedules, self.saved_schedules, strict=True)):
            return False
        last = {schedule.param_name: saved.get('_last_value') for schedule, saved in zip(
            self.schedules, self.saved_schedules, strict=True)}
        alone = len(last) == len(self.schedules)  # of several the one that moved last has set the value
        values = {name: [group.get(name) for group in theirs] for name in names}
        return last == values if alone else all(map(is_number, chain(*values.values())))

    def without_state(self) -> int:
        """The weights that are trained and of which the state knows nothing, while it knows others."""
        known = self.saved['state']
        return sum(weight.requires_grad and number not in known
                   for group, own in zip(self.saved['param_groups'], self.wrapper.optimizer.param_groups, strict=True)
                   for number, weight in zip(group['params'], own['params'], strict=True)) if known else 0

    def misfits(self) -> list[str]:
        """Why no step can be made from the state, with the settings in force; in a few words each."""
        return state_misfits(self.wrapper.optimizer, self.saved['param_groups'], self.saved['state'])


def _setting_rows(place: str, theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """The settings of all groups, before any schedule."""
    for key in dict.fromkeys(key for group in ours for key in group):
        if not key.startswith(('initial_', 'param')):
            yield from _rows(f'{place}.{key}', *(
                [group.get(f'initial_{key}', group.get(key, UNSET)) for group in groups] for groups in (theirs, ours)))


def _rows(setting: str, theirs: Sequence[Any], ours: Sequence[Any]) -> Iterator[Row]:
    """One for each pair of values that groups have."""
    pairs = [Row(setting, before, after, after) for before, after in zip(theirs, ours, strict=False)]
    different, number = {repr(pair): pair for pair in pairs}, Counter(map(repr, pairs))
    for text, pair in different.items():
        where = '' if len(different) == 1 else f' of {number[text]} of {len(pairs)} groups'
        yield Row(f'{setting}{where}', pair.checkpoint, pair.config, pair.in_force)


def _is_group(group: Any) -> bool:
    return isinstance(group, Mapping) and isinstance(group.get('params'), list) and is_number(group.get('lr')) and all(
        math.isfinite(value) for value in group.values() if isinstance(value, float))
