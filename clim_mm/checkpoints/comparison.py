"""The settings of a checkpoint beside those of a config, as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

UNSET = '(not set)'
_COLUMNS = ('setting', 'checkpoint', 'config', 'in force')
_WIDEST = 40  # characters of a value


@dataclass(frozen=True)
class Row:
    """A setting.

    Attributes:
        setting: Its name, with dots.
        checkpoint, config: Its value in each, or ``UNSET``.
        in_force: With which the training goes on.
    """

    setting: str
    checkpoint: Any
    config: Any
    in_force: Any

    @property
    def differs(self) -> bool:
        """Whether the training goes on with another value than it had."""
        return not bool(_plain(self.checkpoint) == _plain(self.in_force))


def rows(checkpoint: Any, config: Any, setting: str = '') -> Iterator[Row]:
    """A row for each setting below two that may be nested; the config's is in force.

    Args:
        checkpoint, config: As ``settings_of`` gives them, or parts of that.
        setting: Where they are; empty at the top.
    """
    if isinstance(checkpoint, Mapping) and isinstance(config, Mapping):
        for key in dict.fromkeys([*config, *checkpoint]):
            yield from rows(checkpoint.get(key, UNSET), config.get(key, UNSET), f'{setting}.{key}' if setting else key)
    elif _are_lists_of_dicts(checkpoint, config):
        for number, (theirs, ours) in enumerate(zip_longest(checkpoint, config, fillvalue=UNSET)):
            yield from rows(theirs, ours, f'{setting}.{number}')
    else:
        yield Row(setting, checkpoint, config, config)


def table(found: Sequence[Row]) -> str:
    """The rows that differ, below each other; the others are counted."""
    different = [row for row in found if row.differs]
    lines: list[tuple[str, ...]] = [_COLUMNS] if different else []
    for row in different:
        exact = _text(row.checkpoint) == _text(row.in_force)
        lines.append((row.setting, *(_text(value, exact) for value in (row.checkpoint, row.config, row.in_force))))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [('  ' + '  '.join(f'{cell:{width}}' for cell, width in zip(line, widths, strict=True))).rstrip()
            for line in lines]
    return '\n'.join([*text, f'  {len(found) - len(different)} other settings equal'])


def _are_lists_of_dicts(*values: Any) -> bool:
    return all(isinstance(value, (list, tuple)) for value in values) and any(
        isinstance(item, Mapping) for value in values for item in value)


def _plain(value: Any) -> Any:
    """Lists and tuples count as equal, and so do a number and a tensor of one number."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, 'item') else value


def _text(value: Any, exact: bool = False) -> str:
    value = _plain(value)
    text = f'{value:.6g}' if isinstance(value, float) and not exact else ' '.join(str(value).split())
    return text if len(text) <= _WIDEST or exact else f'{text[:_WIDEST // 2 - 3]}...{text[-_WIDEST // 2:]}'
