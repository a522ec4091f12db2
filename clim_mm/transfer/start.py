"""What a detector's backbone starts from: a pretraining's checkpoint, supervised weights, or nothing."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from clim_mm.checkpoints.backbone import Published, backbone_init, read_backbone
from clim_mm.checkpoints.normalization import check_normalization, normalization_of
from clim_mm.checkpoints.weights import compare, with_counters
from clim_mm.errors import ConfigError

from .resnet_names import described

STARTS = ('pretraining', 'supervised', 'random')
NO_CHECKPOINT = 'none'


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
        init_cfg = backbone_init(checkpoint)
    cfg.model.backbone.init_cfg = init_cfg
    if 'shared_head' in cfg.model.get('roi_head', {}):
        cfg.model.roi_head.shared_head.init_cfg = init_cfg


def read_start(checkpoint: str, start: str) -> Published:
    """The backbone in a checkpoint, and how its images were normalised.

    Args:
        checkpoint: A file, or an address that MMEngine knows.
        start: ``pretraining`` or ``supervised``.

    Raises:
        CheckpointError: If it cannot be read.
        ConfigError: If it holds no backbone, or one of the other kind.
    """
    found = read_backbone(checkpoint)
    if found.classifies and start == 'pretraining':
        raise ConfigError(f'{checkpoint} is a supervised ResNet under the names of {found.owner}: take the config that '
                          'ends in _supervised for it, or give a checkpoint that a pretraining has written.')
    if not found.classifies and start == 'supervised':
        raise ConfigError(f'{checkpoint} is no supervised ResNet as torchvision has them (conv1 to layer4, and the '
                          'classifier fc), but the config is for one: take the same config without _supervised in its '
                          'name for a pretraining, or save the state_dict of torchvision\'s resnet50 with its weights.')
    return found


def check_fits(part: nn.Module, preprocessor: Mapping[str, Any], checkpoint: str,
               start: str) -> tuple[dict[str, torch.Tensor], str]:
    """Check that a detector can start from a checkpoint.

    Args:
        part: Of the detector, see :func:`pretrained_part`; its weights do not matter.
        preprocessor: The detector's settings of how images are normalised.
        checkpoint, start: As for :func:`read_start`.

    Returns:
        The weights by their names in ``part``, all of them, and a sentence on how images are normalised.

    Raises:
        CheckpointError: If the checkpoint cannot be read.
        ConfigError: If it is of another network, or was trained on images that were normalised otherwise.
    """
    found = read_start(checkpoint, start)
    own = part.state_dict()
    weights = with_counters(found.backbone, own)
    fit = compare(weights, own)
    if not fit.exact:
        theirs, ours = described(weights), described(own)
        which = f'holds {theirs}, the detector has {ours}' if theirs != ours else f'does not fit the detector\'s {ours}'
        raise ConfigError(f'{checkpoint}{found.origin} {which} ({fit.differences()}): set model.backbone as the '
                          'pretraining had it, or give another checkpoint.')
    return weights, check_normalization(normalization_of(preprocessor), found.normalization, checkpoint)
