"""The pretraining in a checkpoint: its backbone, rebuilt from the config and the weights, and where these come from."""

import json
import os.path as osp
import re
from collections.abc import Mapping
from typing import Any, Optional

import torch
from mmengine.registry import DefaultScope
from torch import nn

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.backbone import published
from clim_mm.checkpoints.normalization import saved_normalization, settings_of
from clim_mm.checkpoints.weights import compare
from clim_mm.config_file import dicts_below
from clim_mm.errors import CheckpointError, ConfigError, on_one_line
from clim_mm.host import HOST_MODELS, ResNet

_DEPTHS = (18, 34, 50, 101, 152)  # of the ResNets that other libraries have
# The sections of a config that say what was trained and how; the others hold paths of a machine.
_SECTIONS = ('model', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'randomness')
# The registry imports whatever a type names, and a checkpoint may be anybody's.
_TYPE = re.compile(r'((clim_mm|mmselfsup|mmcls)\.)?\w+')


def read_pretraining(checkpoint: str) -> tuple[nn.Module, dict[str, Any]]:
    """Read a checkpoint as data only.

    Returns:
        The query encoder's backbone in eval mode; and its part of a header: ``config`` (its name and the sections that
        say what was trained), ``epochs``, ``date`` (as MMEngine writes it: 20261231_235959), and ``input``
        (``channel_order``, ``mean`` and ``std`` for pixels from 0 to 255; ``size``, the side of the largest views in
        pixels or None; and ``view``, the transforms with which evaluations take an image, or None).
    """
    held = read_checkpoint(osp.expanduser(checkpoint))
    meta = held['meta'] if isinstance(held.get('meta'), Mapping) else {}
    settings = settings_of(meta.get('cfg'))
    backbone, given = (settings.get('model') or {}).get('backbone'), saved_normalization(meta)
    if backbone is None or given is None:
        raise CheckpointError(f'{checkpoint} has no config of its training that names its backbone and its '
                              'data_preprocessor: give the checkpoint as the pretraining wrote it, no export.')
    config = dict(name=re.sub(r'_\d{8}_\d{6}$', '', str(meta.get('experiment_name', ''))),  # without MMEngine's time
                  **{name: settings[name] for name in _SECTIONS if name in settings})
    return rebuilt(backbone, published(held).backbone, checkpoint), dict(
        config=json.loads(json.dumps(config, default=str)), epochs=meta.get('epoch'), date=meta.get('time'),
        input=dict(channel_order=given['order'], mean=given['mean'] or [0.0] * 3, std=given['std'] or [1.0] * 3,
                   size=_view_size(settings), view=_view(settings)))


def _view(settings: Mapping[str, Any]) -> Optional[list[dict[str, Any]]]:
    """The transforms of evaluations, plain values by names of this installation; None if the training has none."""
    hooks = settings.get('default_hooks') or {}
    places = [settings, hooks.get('neighbors') or {}]
    found = [place['extract'].get('pipeline') for place in places if isinstance(place.get('extract'), Mapping)]
    return json.loads(json.dumps(found[-1], default=str)) if found and not _odd_types(found[-1]) else None


def rebuilt(settings: Mapping[str, Any], weights: Mapping[str, torch.Tensor], checkpoint: str) -> nn.Module:
    """A backbone in eval mode, by the settings of a config and weights by its names.

    Args:
        checkpoint: The file that they are from, for messages.
    """
    if odd := _odd_types(settings):
        raise ConfigError(f'The backbone of {checkpoint} names {odd[0]}, which is no part of this installation: export '
                          'it where it was trained, after registering it under a name of its own.')
    try:
        with DefaultScope.overwrite_default_scope('mmselfsup'):  # init_cfg may name files that are not there
            model = HOST_MODELS.build({name: value for name, value in settings.items() if name != 'init_cfg'})
    except Exception as error:  # whatever the class makes of settings that it does not know
        raise ConfigError(f'The backbone of {checkpoint}, {settings.get("type")}, cannot be built here '
                          f'({on_one_line(error)}).') from error
    fit = compare(weights, model.state_dict())
    if not fit.exact:
        raise ConfigError(f'The weights of {checkpoint} are not those of its backbone, {settings.get("type")} '
                          f'({fit.differences()}).')
    model.load_state_dict(dict(weights))
    model.eval()  # it returns nothing, unlike torch's
    return model


def _odd_types(settings: Any) -> list[str]:
    """Types that nested settings name, and that no registry of this installation has."""
    types = [str(part['type']) for _, part in dicts_below(settings) if 'type' in part]
    return [name for name in types if not _TYPE.fullmatch(name)]


def check_plain(backbone: nn.Module, checkpoint: str) -> None:
    """Check that a backbone has the tensors of a plain ResNet; whether it computes the same is up to the parity."""
    depth = getattr(backbone, 'depth', None)
    reason = (compare(backbone.state_dict(), ResNet(depth=depth).state_dict()).differences() if depth in _DEPTHS
              else f'it is a {type(backbone).__name__} of depth {depth}')
    if reason:
        raise ConfigError(f'The backbone of {checkpoint} is no plain ResNet of {", ".join(map(str, _DEPTHS))} layers '
                          f'({reason}), so that other libraries have no model for it: `--to torch` writes it with its '
                          'computation, for torch alone.')


def _view_size(settings: Mapping[str, Any]) -> Optional[int]:
    """The side of the largest views that a pipeline crops: of ``MultiRes``, or of a random crop."""
    sides = []
    for _, part in dicts_below(settings.get('train_dataloader')):
        is_crop = str(part.get('type')).endswith('RandomResizedCrop')
        for name in ('resolutions', 'size', 'scale') if is_crop else ('resolutions', ):
            value = part.get(name)
            values = value if isinstance(value, (list, tuple)) else [value]
            sides += [side for side in values if isinstance(side, int)]
    return max(sides, default=None)
