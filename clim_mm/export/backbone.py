"""The backbone of a pretraining, rebuilt from its config's settings and its checkpoint's weights."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

import torch
from mmengine.registry import DefaultScope
from torch import nn

from clim_mm.checkpoints.weights import compare
from clim_mm.errors import ConfigError, on_one_line
from clim_mm.host import HOST_MODELS, ResNet

# Convolutions of a block, and blocks of the four stages (He et al., 2016, table 1).
_DEPTHS = {(2, 2, 2, 2, 2): 18, (2, 3, 4, 6, 3): 34, (3, 3, 4, 6, 3): 50, (3, 3, 4, 23, 3): 101, (3, 3, 8, 36, 3): 152}
DEPTHS = tuple(_DEPTHS.values())
_EPS = 1e-5  # of batch normalisation, in every library
# MMSelfSup's defaults. Other values change the network, and the weights do not always show it.
_PLAIN: dict[str, Any] = dict(
    in_channels=3, stem_channels=64, base_channels=64, expansion=None, num_stages=4, strides=(1, 2, 2, 2),
    dilations=(1, 1, 1, 1), style='pytorch', deep_stem=False, avg_down=False, conv_cfg=None)
# The registry imports whatever a type names, and a checkpoint may be anybody's.
_TYPE = re.compile(r'((clim_mm|mmselfsup|mmcls)\.)?\w+')


def depth_of(weights: Mapping[str, torch.Tensor]) -> Optional[int]:
    """The depth of a ResNet by the number of its blocks; None if no ResNet has so many."""
    blocks = (len({name.split('.')[1] for name in weights if name.startswith(f'layer{stage}.')})
              for stage in (1, 2, 3, 4))
    return _DEPTHS.get((3 if 'layer1.0.conv3.weight' in weights else 2, *blocks))  # type: ignore[arg-type]


def rebuilt_backbone(weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any], checkpoint: str,
                     plain: bool) -> nn.Module:
    """The backbone in eval mode with its weights.

    Args:
        weights: The backbone's, by names such as ``layer1.0.conv1.weight``.
        settings: The backbone's, from the pretraining's config.
        checkpoint: Its name, for messages.
        plain: Refuse all but the plain ResNets that other libraries have.
    """
    frozen = settings.get('frozen_stages', -1)
    if isinstance(frozen, int) and frozen >= 0:
        raise ConfigError(f'The training of {checkpoint} has left stages of its backbone as they were '
                          f'(frozen_stages={frozen}): export the checkpoint of the pretraining that trained them.')
    if bad := next((name for name, value in weights.items() if not torch.isfinite(value).all()), None):
        raise ConfigError(f'{bad} of the backbone of {checkpoint} has non-finite values: export an earlier checkpoint.')
    model = (_plain_resnet if plain else _any_backbone)(weights, settings, checkpoint)
    model.load_state_dict(dict(weights))
    model.eval()  # it returns nothing, unlike torch's
    return model


def _plain_resnet(weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any], checkpoint: str) -> nn.Module:
    reasons, depth = [*_unlike_plain(settings)], depth_of(weights)
    if depth is None:
        reasons.append('no ResNet has as many blocks')
    elif settings.get('depth', depth) != depth:
        reasons.append(f'its config says depth={settings["depth"]}')
    elif not reasons:
        model = ResNet(depth=depth, out_indices=[4])
        fit = compare(weights, model.state_dict())
        if fit.exact:
            return model
        reasons.append(fit.differences())
    raise ConfigError(f'The backbone of {checkpoint} is no plain ResNet of {", ".join(map(str, DEPTHS))} layers '
                      f'({"; ".join(reasons[:3])}), so that other libraries have no model for it: `--to torch` writes '
                      'it with its computation, for torch alone; the others take type=\'mmselfsup.ResNet\' with '
                      'its usual stem, widths and strides.')


def _unlike_plain(settings: Mapping[str, Any]) -> Iterator[str]:
    kind = str(settings.get('type', 'ResNet'))
    if kind.rpartition('.')[2] != 'ResNet':
        yield f'it is a {kind}'
    for name, plain in _PLAIN.items():
        value = settings.get(name, plain)
        if (tuple(value) if isinstance(value, list) else value) != plain:
            yield f'{name}={value}'
    eps = (settings.get('norm_cfg') or {}).get('eps', _EPS)
    if eps != _EPS:
        yield f'eps={eps} of its normalisation'


def _any_backbone(weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any], checkpoint: str) -> nn.Module:
    kind = str(settings.get('type'))
    settings = {name: value for name, value in settings.items() if name != 'init_cfg'}  # it may name other files
    if odd := next((name for name in _types(settings) if not _TYPE.fullmatch(name)), None):
        raise ConfigError(f'The backbone of {checkpoint} names {odd}, which is no part of this installation: export it '
                          'where it was trained, after registering it under a name of its own.')
    try:
        with DefaultScope.overwrite_default_scope('mmselfsup'):
            model = HOST_MODELS.build(settings)
    except Exception as error:  # whatever the class makes of settings that it does not know
        raise ConfigError(f'The backbone of {checkpoint}, {kind}, cannot be built here ({on_one_line(error)}).'
                          ) from error
    fit = compare(weights, model.state_dict())
    if not fit.exact:
        raise ConfigError(f'The weights of {checkpoint} are not those of its backbone, {kind} ({fit.differences()}).')
    return model


def _types(value: Any) -> list[str]:
    """All that ``type`` names, at any depth."""
    if isinstance(value, Mapping):
        return [str(value['type'])] * ('type' in value) + _types(list(value.values()))
    return [name for item in value for name in _types(item)] if isinstance(value, (list, tuple)) else []
