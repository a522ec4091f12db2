"""Checks of settings, which raise a ConfigError; the argument ``name`` begins its sentence."""

import difflib
import math
import operator
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any, Optional

from .errors import ConfigError

MOST_WORKERS = 1024  # of a DataLoader [ours]: more are a slip, and would all be started


def check_whole(name: str, value: Any, least: int = 0, most: Optional[int] = None, optional: bool = False) -> None:
    """Check a whole number (True is none) from ``least`` to ``most``; with ``optional``, None is a value too."""
    if value is None and optional:
        return
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        bounds = f'of at least {least}' if most is None else f'from {least} to {most}'
        _refuse(name, f'a whole number {bounds}', value, optional)


def check_number(name: str,
                 value: Any,
                 above: Optional[float] = None,
                 least: Optional[float] = None,
                 below: Optional[float] = None,
                 most: Optional[float] = None,
                 optional: bool = False) -> None:
    """Check a finite number; ``above`` and ``below`` are excluded bounds, ``least`` and ``most`` included ones."""
    if value is None and optional:
        return
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    bounds = [('above', above, operator.gt), ('of at least', least, operator.ge), ('below', below, operator.lt),
              ('of at most', most, operator.le)]
    given = [(words, bound, holds) for words, bound, holds in bounds if bound is not None]
    if not is_number or not all(holds(value, bound) for _, bound, holds in given):
        bounded = ' and '.join(f'{words} {bound}' for words, bound, _ in given)
        _refuse(name, f'a number {bounded}' if bounded else 'a finite number', value, optional)


def check_bool(name: str, value: Any, optional: bool = False) -> None:
    """Check a switch; a word such as 'no' would count as True."""
    if not isinstance(value, bool) and not (value is None and optional):
        _refuse(name, 'True or False', value, optional)


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Check one word of several."""
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f'{name} must be one of {", ".join(choices)}, not {value!r}{suggestion(value, choices)}.')


def check_range(name: str, value: Any, above: float, most: float = math.inf) -> None:
    """Check a pair of numbers, the smaller one first."""
    numbers = list(value) if isinstance(value, (tuple, list)) else []
    are_numbers = all(isinstance(number, Real) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 2 or not are_numbers or not above < numbers[0] <= numbers[1] <= most or numbers[1] == math.inf:
        bounds = f'above {above}' if most == math.inf else f'above {above} and at most {most}'
        _refuse(name, f'two numbers {bounds}, the smaller one first', value, optional=False)


def check_list(name: str, value: Any) -> None:
    """Check a list that must not be empty, such as that of a pipeline's transforms."""
    if not isinstance(value, (list, tuple)) or not value:
        _refuse(name, 'a list that is not empty', value, optional=False)


def check_keys(name: str, value: Any, required: Collection[str], allowed: Collection[str] = ()) -> None:
    """Check that a dict has all ``required`` keys, and beside these only ``allowed`` ones."""
    if not isinstance(value, Mapping):
        _refuse(name, 'a dict', value, optional=False)
    known = [*required, *allowed]
    for key in value:
        if key not in known:
            raise ConfigError(f'{name} has no setting {key!r}{suggestion(key, known)}: it knows {", ".join(known)}.')
    for key in required:
        if key not in value:
            raise ConfigError(f'{name} lacks {key!r}: set it.')


def suggestion(word: Any, words: Collection[str], likeness: float = 0.6) -> str:
    """A question to put behind an unknown word, if one of ``words`` is as near as difflib's ``likeness``, 0 to 1."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=likeness) if isinstance(word, str) else []
    return f' (did you mean {near[0]!r}?)' if near else ''


def _refuse(name: str, wanted: str, value: Any, optional: bool) -> None:
    raise ConfigError(f'{name} must be {wanted}{" or None" if optional else ""}, not {value!r}.')
