"""How a pretraining normalised its images, and whether they are normalised so again."""

import math
from collections.abc import Mapping
from typing import Any, Optional

from clim_mm.errors import ConfigError

from .saved_settings import settings_of

# Of torchvision's ResNets, and of most that are published: RGB images, with values from 0 to 1.
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], order='RGB')
_READING = dict(max_value=None, color_type='color')  # of LoadImage: what its options are if they are not set
_SAME = 0.05  # of 255 levels: what rounding makes of published values


def saved_normalization(meta: Any) -> Optional[dict[str, Any]]:
    """How a pretraining fed its images to the network; None if its checkpoint's meta tells no plain numbers."""
    try:
        return normalization_in(settings_of(meta.get('cfg') if isinstance(meta, Mapping) else None))
    except (TypeError, ValueError):  # such as of 0.485 * 255, which stays text
        return None


def normalization_in(settings: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """How a training with these settings feeds its images to the network; None if they do not tell.

    It is the preprocessor that normalises, or a ``Normalize`` in the pipeline. Where the pipeline reads images,
    ``reading`` is by which options, as far as they decide what colours have.
    """
    preprocessor = preprocessor_of(settings)
    if isinstance(preprocessor, Mapping) and preprocessor.get('mean') is None:
        step = _step_in(settings.get('train_dataloader'), 'Normalize')
        preprocessor = dict(dict(to_rgb=True), **step) if step else preprocessor  # which is its default
    if not isinstance(preprocessor, Mapping) or not preprocessor:
        return None
    step = _step_in(settings.get('train_dataloader'), 'LoadImage', 'LoadImageFromFile')
    reading = {} if step is None else dict(reading={name: step.get(name, usual) for name, usual in _READING.items()})
    return dict(normalization_of(preprocessor), **reading)


def _step_in(value: Any, *names: str) -> Optional[Mapping[str, Any]]:
    """The first transform of one of these types in nested settings."""
    if isinstance(value, Mapping) and str(value.get('type')).rpartition('.')[2] in names:
        return value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return next((found for part in inner if (found := _step_in(part, *names)) is not None), None)


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
    return dict(mean=_floats(preprocessor.get('mean')), std=_floats(preprocessor.get('std')),
                order='RGB' if turned else 'BGR')


def check_normalization(here: Mapping[str, Any], trained: Optional[Mapping[str, Any]], checkpoint: str) -> str:
    """Check that images are normalised (``normalization_of``) as a checkpoint's training had them, if that is known.

    Returns:
        A sentence for the log.
    """
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


def _floats(values: Any) -> Optional[list[float]]:
    return None if values is None else [float(value) for value in values]


def in_words(normalization: Optional[Mapping[str, Any]]) -> str:
    """A normalisation, to be put inside a sentence."""
    if normalization is None:
        return 'none that is known'
    return f'{normalization["order"]}, mean {normalization["mean"]}, std {normalization["std"]}'
