"""Settings out of the config that a checkpoint brings as text, without running the text."""

import ast
from collections.abc import Mapping
from typing import Any, Optional


def settings_of(text: str) -> dict[str, Any]:
    """The settings of a config's text, as MMEngine writes it into a checkpoint.

    Args:
        text: Assignments of numbers, strings, lists, tuples, dictionaries and calls of ``dict``. Whatever else is in
            it, such as a function, becomes None.

    Returns:
        The values by their names; empty if the text is no such config.
    """
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return {line.targets[0].id: _value(line.value) for line in lines
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)}


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {key.value: _value(value) for key, value in pairs if isinstance(key, ast.Constant)}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def saved_normalization(meta: Any) -> Optional[dict[str, Any]]:
    """How a pretraining fed its images to the network: see :func:`normalization_of`.

    Args:
        meta: Of the checkpoint.

    Returns:
        None if the checkpoint does not tell.
    """
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    settings = settings_of(text) if isinstance(text, str) else {}
    model = settings.get('model')
    inside = model.get('data_preprocessor') if isinstance(model, Mapping) else None
    preprocessor = inside or settings.get('data_preprocessor')
    return normalization_of(preprocessor) if isinstance(preprocessor, Mapping) else None


def normalization_of(preprocessor: Mapping[str, Any]) -> dict[str, Any]:
    """``mean`` and ``std`` (three floats each, for values from 0 to 255; None for none) and ``order``, RGB or BGR.

    Images are read as BGR by MMCV, and turned or left by the preprocessor.
    """
    turned = any(preprocessor.get(name) for name in ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb'))
    return dict(mean=_floats(preprocessor.get('mean')), std=_floats(preprocessor.get('std')),
                order='RGB' if turned else 'BGR')


def _floats(values: Any) -> Optional[list[float]]:
    return None if values is None else [float(value) for value in values]


def in_words(normalization: Optional[Mapping[str, Any]]) -> str:
    """A normalisation, to be put inside a sentence."""
    if normalization is None:
        return 'none that is known'
    return f'{normalization["order"]}, mean {normalization["mean"]}, std {normalization["std"]}'
