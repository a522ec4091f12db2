"""The settings in a config's text, read as data.

A checkpoint brings the text of its config along. MMEngine would run it as code; what is wanted of it here are values.
"""

import ast
from typing import Any

from clim_mm.errors import CheckpointError, on_one_line

_LONGEST = 1 << 20  # characters [ours]: parsed, a text takes a hundred times its length


def settings_of(text: str) -> dict[str, Any]:
    """The settings of a config as MMEngine writes it: assignments of ``dict(...)``, lists, tuples and constants.

    Args:
        text: Of ``Config.pretty_text``, as ``meta['cfg']`` of a checkpoint has it.

    Returns:
        The settings by name. What is no plain value, such as a call of something else, stays its text.

    Raises:
        CheckpointError: If the text is no Python, or longer than any config.
    """
    if len(text) > _LONGEST:
        raise CheckpointError(f'The config in the checkpoint has {len(text):,} characters: give a checkpoint as a '
                              'training wrote it.')
    try:
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
