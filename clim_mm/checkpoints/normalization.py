"""What the config in a checkpoint tells, above all how images were normalised, and whether they are so again.

MMEngine would run the text of that config as code; here it is read as data.
"""

import ast
import math
from collections.abc import Mapping
from typing import Any, Optional

from clim_mm.errors import ConfigError

# Of torchvision's ResNets, and of most that are published: RGB images, with values from 0 to 1.
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], order='RGB')
_READING = dict(max_value=None, color_type='color')  # of LoadImage: what its options are if they are not set
_SAME = 0.05  # of 255 levels: what rounding makes of published values


def settings_of(text: Any) -> dict[str, Any]:
    """The settings by name in a ``Config.pretty_text``, as ``meta['cfg']`` of a checkpoint has it; none of other texts.

    What is no plain value, such as a call of something other than ``dict``, stays its text.
    """
    try:
        statements = ast.parse(text).body if isinstance(text, str) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return {statement.targets[0].id: _value(statement.value) for statement in statements
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)}


def saved_normalization(meta: Any) -> Optional[dict[str, Any]]:
    """How a pretraining fed its images to the network; None if its checkpoint's meta tells no plain numbers."""
    try:
        return normalization_in(settings_of(meta.get('cfg') if isinstance(meta, Mapping) else None))
    except (TypeError, ValueError):  # such as of 0.485 * 255, which stays text
        return None


def normalization_in(settings: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """How a training with these settings feeds its images to the network; None if they do not tell.

    Where the pipeline reads images, ``reading`` is by which options, as far as they decide what values colours have.
    """
    preprocessor = preprocessor_of(settings)
    if not isinstance(preprocessor, Mapping) or not preprocessor:
        return None
    step = _loading_in(settings.get('train_dataloader'))
    reading = {} if step is None else dict(reading={name: step.get(name, usual) for name, usual in _READING.items()})
    return dict(normalization_of(preprocessor), **reading)


def _loading_in(value: Any) -> Optional[Mapping[str, Any]]:
    """The first transform in nested settings that reads images."""
    if isinstance(value, Mapping) and str(value.get('type')).rpartition('.')[2] in ('LoadImage', 'LoadImageFromFile'):
        return value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return next((found for part in inner if (found := _loading_in(part)) is not None), None)


def preprocessor_of(settings: Any) -> Mapping[str, Any]:
    """The preprocessor's settings in those of a training, which stand in its model or beside it; empty for none."""
    model = settings.get('model')
    inside = model.get('data_preprocessor') if isinstance(model, Mapping) else None
    return inside or settings.get('data_preprocessor') or {}


def normalization_of(preprocessor: Mapping[str, Any]) -> dict[str, Any]:
    """``mean`` and ``std`` (three floats each, for values from 0 to 255; None for none) and ``order``, RGB or BGR.

    Images are read as BGR by MMCV, and turned or left by the preprocessor.
    """
    turned = any(preprocessor.get(name) for name in ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb'))
    mean, std = (None if values is None else [float(value) for value in values]
                 for values in (preprocessor.get('mean'), preprocessor.get('std')))
    return dict(mean=mean, std=std, order='RGB' if turned else 'BGR')


def check_normalization(here: Mapping[str, Any], trained: Optional[Mapping[str, Any]], checkpoint: str) -> str:
    """Check that images are normalised as a checkpoint's training had them, if known; a sentence for the log."""
    if trained is None:
        return (f'Images are normalised by {in_words(here)}; {checkpoint} does not tell whether its training had them '
                'so: make sure that it had.')
    if here['order'] != trained['order'] or not all(_same(here[name], trained[name], neutral)
                                                    for name, neutral in (('mean', 0.0), ('std', 1.0))):
        raise ConfigError(f'Images are normalised here by {in_words(here)}, but {checkpoint} was trained with '
                          f'{in_words(trained)}: set mean, std and bgr_to_rgb (or to_rgb) of model.data_preprocessor '
                          'as there.')
    read, was = here.get('reading'), trained.get('reading')
    if read is not None and was is not None and read != was:
        raise ConfigError(f'Images are read here with {read}, but {checkpoint} was trained with {was}: set these of '
                          'every LoadImage in the config as there.')
    return f'Images are normalised as in the pretraining ({in_words(here)}).'


def _same(first: Optional[list[float]], second: Optional[list[float]], neutral: float) -> bool:
    a, b = (3 * values if len(values) == 1 else values for values in (first or [neutral], second or [neutral]))
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=0, abs_tol=_SAME) for x, y in zip(a, b, strict=True))


def in_words(normalization: Mapping[str, Any]) -> str:
    """A normalisation, to be put inside a sentence."""
    return f'{normalization["order"]}, mean {normalization["mean"]}, std {normalization["std"]}'


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
