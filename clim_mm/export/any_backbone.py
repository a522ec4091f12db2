"""A backbone of any kind, built as the config of its pretraining says, with the weights of a checkpoint."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmselfsup.registry import MODELS
from torch import nn

from clim_mm.checkpoints.weights import compare
from clim_mm.errors import ConfigError, on_one_line

from .plain_resnet import check_numbers, check_trained

# The registry imports whatever a type names, and a checkpoint may be anybody's.
_TYPE = re.compile(r'((clim_mm|mmselfsup|mmcls)\.)?\w+')


def any_backbone(weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any], checkpoint: str) -> nn.Module:
    """The backbone of a pretraining, in eval mode.

    Args:
        weights: Of the backbone, by its own names.
        settings: Of the backbone, from the pretraining's config.
        checkpoint: Its name, for messages.

    Raises:
        ConfigError: If this installation has no backbone of that kind, the weights do not fit it, parts of it were
            frozen, or values are no numbers.
    """
    check_trained(settings, checkpoint)
    kind = str(settings.get('type'))
    settings = {name: value for name, value in settings.items() if name != 'init_cfg'}  # it may name other files
    if odd := next((name for name in _types(settings) if not _TYPE.fullmatch(name)), None):
        raise ConfigError(f'The backbone of {checkpoint} names {odd}, which is no part of this installation: export it '
                          'where it was trained, after registering it under a name of its own.')
    try:
        with DefaultScope.overwrite_default_scope('mmselfsup'):
            model = MODELS.build(settings)
    except Exception as error:  # whatever the class makes of settings that it does not know
        raise ConfigError(f'The backbone of {checkpoint}, {kind}, cannot be built here ({on_one_line(error)}).'
                          ) from error
    fit = compare(weights, model.state_dict())
    if not fit.exact:
        raise ConfigError(f'The weights of {checkpoint} are not those of its backbone, {kind} ({fit.differences()}).')
    check_numbers(weights, checkpoint)
    model.load_state_dict(dict(weights))
    model.eval()
    return model


def _types(value: Any) -> list[str]:
    """All that ``type`` names, at any depth."""
    if isinstance(value, Mapping):
        return [str(value['type'])] * ('type' in value) + _types(list(value.values()))
    return [name for item in value for name in _types(item)] if isinstance(value, (list, tuple)) else []
