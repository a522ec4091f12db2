"""The backbone of a checkpoint, whoever's it is, and whether a module has all of its weights."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from clim_mm.errors import ConfigError

from .fit import COUNTER, compare, weights_of
from .published_names import BACKBONE, Published, check_has_backbone, published

# MMEngine's loading of the backbone alone, see `load_from_backbone`: backbone://FILE
SCHEME = 'backbone://'


def backbone_init(checkpoint: str) -> dict[str, Any]:
    """The ``init_cfg`` with which MMEngine starts a backbone from a checkpoint.

    Args:
        checkpoint: A file, or an address that MMEngine knows, under whatever names ``published`` knows.
    """
    return dict(type='Pretrained', checkpoint=f'{SCHEME}{checkpoint}')


def is_of_backbone(init_cfg: Mapping[str, Any]) -> bool:
    """Whether an ``init_cfg`` means a checkpoint's backbone, and no other part of it by its prefix."""
    return (init_cfg.get('prefix') or BACKBONE).rstrip('.') == BACKBONE.rstrip('.')


def checkpoint_of(init_cfg: Any) -> str:
    """The checkpoint that a module's ``init_cfg`` names, without the scheme; empty for none."""
    checkpoint = init_cfg.get('checkpoint') if isinstance(init_cfg, Mapping) else None
    return (checkpoint or '').removeprefix(SCHEME)


def read_backbone(checkpoint: str) -> Published:
    """Read a checkpoint that has a backbone.

    Args:
        checkpoint: A file, or an address that MMEngine knows.

    Raises:
        CheckpointError: If it cannot be read.
        ConfigError: If it holds no backbone under names that are known.
    """
    found = published(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
    check_has_backbone(found, checkpoint)
    return found


def read_start(init_cfg: Mapping[str, Any]) -> Published:
    """Read what MMEngine starts a backbone from: the backbone of a checkpoint, or what the prefix names.

    Args:
        init_cfg: ``checkpoint``, and ``prefix`` if it is another part.

    Raises:
        CheckpointError, ConfigError: As :func:`read_backbone`.
    """
    if is_of_backbone(init_cfg):
        return read_backbone(checkpoint_of(init_cfg))
    loaded = CheckpointLoader.load_checkpoint(init_cfg['checkpoint'], map_location='cpu')
    prefix = init_cfg['prefix'].rstrip('.').removeprefix('module.') + '.'
    inside = {f'{BACKBONE}{name.removeprefix(prefix)}': value for name, value in weights_of(loaded).items()
              if name.startswith(prefix)}
    return Published(inside, normalization=published(loaded).normalization)


def with_counters(weights: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights, and a module's own counters of batches where they lack them, as old files do; nothing needs them.

    Args:
        weights: Of a checkpoint.
        own: Of the module.
    """
    return {**{name: own[name] for name in own if name.endswith(COUNTER)}, **weights}


def check_landed(module: nn.Module, weights: Mapping[str, torch.Tensor], checkpoint: str) -> int:
    """Check that every weight of a module is the checkpoint's.

    Args:
        module: With weights loaded.
        weights: The checkpoint's, see :func:`read_backbone`.
        checkpoint: Its name, for messages.

    Returns:
        Number of tensors.

    Raises:
        ConfigError: If one is missing, of another shape, left over, or not what the module has.
    """
    own = module.state_dict()
    weights = with_counters(weights, own)
    fit = compare(weights, own)
    if not fit.exact:
        raise ConfigError(f'The backbone does not take up {checkpoint} whole ({fit.differences()}): set the backbone '
                          'as the pretraining had it, or give another checkpoint.')
    other = changed(own, weights)
    if other:
        raise ConfigError(f'{len(other)} of the backbone\'s {len(own)} weights are not those of {checkpoint} (first '
                          f'{other[0]}): let nothing initialise the backbone after its checkpoint is loaded.')
    return len(own)


def changed(weights: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of the tensors that are not what they were, in the order of ``weights``.

    Args:
        weights: Tensors by name.
        before: As they were, on any device; of the same names.
    """
    return [name for name, value in weights.items() if not torch.equal(value, before[name].to(value))]
