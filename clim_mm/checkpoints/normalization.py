"""How a pretraining normalised its images, out of the config in its checkpoint."""

from collections.abc import Mapping
from typing import Any, Optional

from clim_mm.errors import CheckpointError

from .config_text import settings_of


def saved_normalization(meta: Any) -> Optional[dict[str, Any]]:
    """How a pretraining fed its images to the network: see :func:`normalization_of`.

    Args:
        meta: Of the checkpoint.

    Returns:
        None if the checkpoint does not tell.
    """
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    try:
        settings = settings_of(text) if isinstance(text, str) else {}
    except CheckpointError:
        return None
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
