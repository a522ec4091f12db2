"""The settings in a checkpoint's config, read as data, and beside those of a config as a table.

A checkpoint brings the text of its config along. MMEngine would run it as code; what is wanted of it here are values.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from clim_mm.errors import CheckpointError, on_one_line

UNSET = '(not set)'
_COLUMNS = ('setting', 'checkpoint', 'config', 'in force')
_WIDEST = 40  # characters of a value
_LONGEST = 1 << 20  # characters [ours]: parsed, a text takes a hundred times its length


def settings_of(text: str) -> dict[str, Any]:
    """The settings by name in a ``Config.pretty_text``, as ``meta['cfg']`` of a checkpoint has it.

    What is no plain value, such as a call of something other than ``dict``, stays its text.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError(f'it has {len(text):,} characters')
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f'The config in the checkpoint cannot be read ({on_one_line(error)}): give a checkpoint '
                              'as a training wrote it.') from error
    return {
        statement.targets[0].id: _value(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


def settings_in(text: Any) -> dict[str, Any]:
    """The settings of a config's text, as ``settings_of`` gives them; none of what is no such text."""
    try:
        return settings_of(text) if isinstance(text, str) else {}
    except CheckpointError:
        return {}


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


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    try:
        return ast.literal_eval(node)  # constants, negative numbers
    except ValueError:
        return ast.unparse(node)


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
