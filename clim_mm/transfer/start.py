"""What a detector's backbone starts from: a pretraining's checkpoint, supervised weights, or nothing."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from torch import nn

from clim_mm.checkpoints.fit import compare, weights_of
from clim_mm.checkpoints.normalization import in_words, normalization_of, saved_normalization
from clim_mm.errors import ConfigError

from .resnet_names import described, owner_of_names

STARTS = ('pretraining', 'supervised', 'random')
NO_CHECKPOINT = 'none'
PREFIX = 'backbone.'  # of a pretraining's backbone in its checkpoint
_CLASSIFIER = 'fc.'
# Of torchvision's ResNets; they were trained on RGB images with values from 0 to 1.
_TORCHVISION = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], order='RGB')


def start_of(cfg: Config) -> str:
    """One of ``STARTS``, as the ``TransferPreflightHook`` of a config says.

    Raises:
        ConfigError: If the config has no such hook.
    """
    for hook in cfg.get('custom_hooks') or []:
        if isinstance(hook, Mapping) and hook.get('type') == 'TransferPreflightHook':
            return hook.get('start', 'pretraining')
    raise ConfigError('The config has no TransferPreflightHook in custom_hooks, without which a backbone that is half '
                      'at random would go unnoticed: inherit from a config below configs/benchmarks/mmdetection.')


def start_from(cfg: Config, checkpoint: str) -> None:
    """Let the detector of a config start from a checkpoint: its backbone, and with C4 the head that boxes share.

    Args:
        cfg: Of a detector; the ``init_cfg`` of the two is set.
        checkpoint: As pretraining wrote it, or a file of supervised weights, or ``none``, whichever the config is for.

    Raises:
        ConfigError: If the config is for another kind.
    """
    start = start_of(cfg)
    if (checkpoint == NO_CHECKPOINT) != (start == 'random'):
        wanted = {
            'pretraining': 'a pretraining checkpoint; for a random start there is a config that ends in _random',
            'supervised': 'a file of supervised weights; for a random start there is a config that ends in _random',
            'random': f'no checkpoint: give the word {NO_CHECKPOINT}'
        }[start]
        raise ConfigError(f'CHECKPOINT is {checkpoint}, but the config wants {wanted}.')
    init_cfg: Any = None
    if start != 'random':
        init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    if start == 'pretraining':
        init_cfg['prefix'] = PREFIX
    cfg.model.backbone.init_cfg = init_cfg
    if 'shared_head' in cfg.model.get('roi_head', {}):
        cfg.model.roi_head.shared_head.init_cfg = init_cfg


def read_start(checkpoint: str, start: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The backbone's weights in a checkpoint, and how its images were normalised.

    Args:
        checkpoint: A file, or an address that MMEngine knows.
        start: ``pretraining`` or ``supervised``.

    Returns:
        Tensors by the names in a ResNet, and the normalisation as :func:`saved_normalization` gives it.

    Raises:
        CheckpointError: If it cannot be read.
        ConfigError: If it holds something else.
    """
    loaded = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    weights = weights_of(loaded)
    if start == 'supervised':
        return _supervised(weights, checkpoint), _TORCHVISION
    if not any(name.startswith(PREFIX) for name in weights) or owner_of_names(weights):
        raise ConfigError(_not_from_pretraining(weights, checkpoint))
    inside = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    normalization = saved_normalization(loaded.get('meta'))
    if normalization is None:
        raise ConfigError(f'{checkpoint} does not tell how the pretraining normalised its images (no config in its '
                          'meta): give the checkpoint as pretraining wrote it.')
    return inside, normalization


def check_fits(part: nn.Module, preprocessor: Mapping[str, Any], checkpoint: str,
               start: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Check that a detector can start from a checkpoint.

    Args:
        part: Of the detector, see :func:`pretrained_part`; its weights do not matter.
        preprocessor: The detector's settings of how images are normalised.
        checkpoint, start: As for :func:`read_start`.

    Returns:
        The weights by their names in ``part``, all of them, and the normalisation.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        ConfigError: If it is of another network, or was trained on images that were normalised otherwise.
    """
    weights, normalization = read_start(checkpoint, start)
    own = part.state_dict()
    # Old files lack the norms' counters of batches; nothing depends on them.
    weights = {**{name: own[name] for name in own if name.endswith('num_batches_tracked')}, **weights}
    fit = compare(weights, own)
    if not fit.exact:
        theirs, ours = described(weights), described(own)
        which = f'holds {theirs}, the detector has {ours}' if theirs != ours else f'does not fit the detector\'s {ours}'
        raise ConfigError(f'{checkpoint} {which} ({fit.differences()}): set model.backbone as the pretraining had it, '
                          'or give another checkpoint.')
    here = normalization_of(preprocessor)
    if here != normalization:
        raise ConfigError(f'The detector normalises images by {in_words(here)}, but {checkpoint} was trained with '
                          f'{in_words(normalization)}: set mean, std and bgr_to_rgb of model.data_preprocessor as '
                          'there.')
    return weights, normalization


def _not_from_pretraining(weights: Mapping[str, Any], checkpoint: str) -> str:
    owner = owner_of_names(weights)
    if not owner:
        return (f'{checkpoint} has no backbone (its {len(weights)} entries begin with {next(iter(weights), "nothing")}'
                '): give a checkpoint that a pretraining has written.')
    if any(name.startswith(_CLASSIFIER) for name in weights):
        return (f'{checkpoint} is a supervised ResNet under the names of {owner}: take the config that ends in '
                '_supervised for it, or give a checkpoint that a pretraining has written.')
    return (f'{checkpoint} is already exported (a backbone under the names of {owner}), and no longer tells how its '
            'images were normalised: give the checkpoint as pretraining wrote it.')


def _supervised(weights: dict[str, Any], checkpoint: str) -> dict[str, torch.Tensor]:
    if any(name.startswith(PREFIX) for name in weights):
        raise ConfigError(f'{checkpoint} is a pretraining\'s, but the config is for a supervised ResNet: take the same '
                          'config without _supervised in its name.')
    if not any(name.startswith(_CLASSIFIER) for name in weights) or 'conv1.weight' not in weights:
        raise ConfigError(f'{checkpoint} is no supervised ResNet as torchvision has them (conv1 to layer4, and the '
                          'classifier fc): save the state_dict of torchvision\'s resnet50 with its weights.')
    return {name: value for name, value in weights.items() if not name.startswith(_CLASSIFIER)}
