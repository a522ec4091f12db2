"""The settings in a checkpoint's config, read as data, and beside those of a config as a table.

A checkpoint brings the text of its config along. MMEngine would run it as code; what is wanted of it here are values.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

UNSET = '(not set)'
_COLUMNS = ('setting', 'checkpoint', 'config', 'in force')
_WIDEST = 40  # characters of a value


def settings_of(text: Any) -> dict[str, Any]:
    """The settings by name in a ``Config.pretty_text``, as ``meta['cfg']`` of a checkpoint has it; none of other texts.

    What is no plain value, such as a call of something other than ``dict``, stays its text.
    """
    try:
        statements = ast.parse(text).body if isinstance(text, str) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {
        statement.targets[0].id: _value(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }


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
    different = [(row.setting, _text(row.checkpoint), _text(row.config), _text(row.in_force))
                 for row in found if row.differs]
    lines = [_COLUMNS, *different] if different else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [('  ' + '  '.join(f'{cell:{width}}' for cell, width in zip(line, widths, strict=True))).rstrip()
            for line in lines]
    return '\n'.join([*text, f'  {len(found) - len(different)} other settings equal'])


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
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


def _text(value: Any) -> str:
    text = ' '.join(str(_plain(value)).split())
    return text if len(text) <= _WIDEST else f'{text[:_WIDEST // 2 - 3]}...{text[-_WIDEST // 2:]}'
