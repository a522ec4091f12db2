"""A line of the table: what was found, and whether it is as it should be."""

import math
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Row:
    """A finding.

    Attributes:
        name: Of what was looked at.
        value: The figure; None if there is none.
        unit: Of the figure.
        bound: What it has to be, such as ``<= 0.01``; empty for a figure that is only told.
        ok: Whether it is; None for a figure that is only told, or what could not be looked at.
        note: What else is to be said.
    """

    name: str
    value: Optional[float] = None
    unit: str = ''
    bound: str = ''
    ok: Optional[bool] = None
    note: str = ''

    def line(self) -> str:
        """Of the table."""
        verdict = {True: 'pass', False: 'FAIL', None: '-'}[self.ok]
        value = '' if self.value is None else f'{self.value:.6g} {self.unit}'.strip()
        return f'{verdict:5}{self.name:60}{value:>24}  {self.bound:10}{self.note}'.rstrip()


def at_most(name: str, value: float, bound: float, unit: str = '', note: str = '') -> Row:
    """A figure that passes up to a bound. NaN does not."""
    return Row(name, value, unit, f'<= {bound:g}', value <= bound, note)


def at_least(name: str, value: float, bound: float, unit: str = '', note: str = '') -> Row:
    """A figure that passes from a bound on. NaN does not."""
    return Row(name, value, unit, f'>= {bound:g}', value >= bound, note)


def figure(name: str, value: float, unit: str = '', note: str = '') -> Row:
    """A figure that is only told, but must be one."""
    return Row(name, value, unit, note=note) if math.isfinite(value) else Row(name, ok=False, note='no finite number')


def left_out(name: str, why: str) -> Row:
    """What could not be looked at."""
    return Row(name, note=f'left out: {why}')
