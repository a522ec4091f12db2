"""Whether a backbone has all of a pretraining checkpoint's weights."""

from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from clim_mm.errors import ConfigError

from .fit import compare, weights_of


def pretrained_weights(init_cfg: dict) -> dict[str, Any]:
    """The weights that MMEngine's ``Pretrained`` takes from a checkpoint, by their names in the module.

    Args:
        init_cfg: ``checkpoint``, a file or an address that MMEngine knows, and ``prefix``.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        ConfigError: If it holds no weights.
    """
    weights = weights_of(CheckpointLoader.load_checkpoint(init_cfg['checkpoint'], map_location='cpu'))
    prefix = init_cfg.get('prefix') or ''
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def check_landed(module: nn.Module, weights: dict[str, Any], checkpoint: str) -> int:
    """Check that every weight of a module is the checkpoint's.

    Args:
        module: With weights loaded.
        weights: The checkpoint's, see :func:`pretrained_weights`.
        checkpoint: Its name, for messages.

    Returns:
        Number of tensors.

    Raises:
        ConfigError: If one is missing, of another shape, left over, or not what the module has.
    """
    own = module.state_dict()
    fit = compare(weights, own)
    if not fit.exact:
        raise ConfigError(f'The backbone does not take up {checkpoint} whole ({fit.differences()}): set the backbone '
                          'as the pretraining had it, or give another checkpoint.')
    other = changed(own, weights)
    if other:
        raise ConfigError(f'{len(other)} of the backbone\'s {len(own)} weights are not those of {checkpoint} (first '
                          f'{other[0]}): let nothing initialise the backbone after its checkpoint is loaded.')
    return len(own)


def changed(weights: dict[str, torch.Tensor], before: dict[str, torch.Tensor]) -> list[str]:
    """The names of the tensors that are not what they were, in the order of ``weights``.

    Args:
        weights: Tensors by name.
        before: As they were, on any device; of the same names.
    """
    return [name for name, value in weights.items() if not torch.equal(value, before[name].to(value.device))]
