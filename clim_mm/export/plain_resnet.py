"""Whether a backbone is a plain ResNet, which other libraries have as well, and of which depth."""

from collections.abc import Iterator, Mapping
from typing import Any, Optional

import torch
from mmselfsup.models.backbones import ResNet

from clim_mm.checkpoints.weights import compare
from clim_mm.errors import ConfigError

# Blocks of the four stages (He et al., 2016, table 1): with two convolutions each, or with three.
_BLOCKS = {
    (2, (2, 2, 2, 2)): 18,
    (2, (3, 4, 6, 3)): 34,
    (3, (3, 4, 6, 3)): 50,
    (3, (3, 4, 23, 3)): 101,
    (3, (3, 8, 36, 3)): 152,
}
DEPTHS = tuple(_BLOCKS.values())
_STEM = (64, 3, 7, 7)  # (out, in, height, width) of the first convolution
_EPS = 1e-5  # of batch normalisation, in every library

# What MMSelfSup's ResNet has if its config says nothing else. Other values change the network, and the weights do not
# always show it.
_PLAIN: dict[str, Any] = dict(
    in_channels=3, stem_channels=64, base_channels=64, expansion=None, num_stages=4, strides=(1, 2, 2, 2),
    dilations=(1, 1, 1, 1), style='pytorch', deep_stem=False, avg_down=False, conv_cfg=None)


def depth_of(weights: Mapping[str, torch.Tensor]) -> Optional[int]:
    """The depth of a ResNet by the number of its blocks; None if no ResNet has so many.

    Args:
        weights: By names as ``layer1.0.conv1.weight``.
    """
    blocks: list[set[str]] = [set() for _ in range(4)]
    for name in weights:
        stage, _, rest = name.partition('.')
        if stage in ('layer1', 'layer2', 'layer3', 'layer4'):
            blocks[int(stage[-1]) - 1].add(rest.partition('.')[0])
    convolutions = 3 if 'layer1.0.conv3.weight' in weights else 2
    return _BLOCKS.get((convolutions, tuple(len(stage) for stage in blocks)))  # type: ignore[arg-type]


def plain_resnet(weights: Mapping[str, torch.Tensor], settings: Mapping[str, Any], checkpoint: str) -> ResNet:
    """MMSelfSup's ResNet with the weights of a checkpoint, in eval mode.

    Args:
        weights: Of the backbone, by names as ``layer1.0.conv1.weight``.
        settings: Of the backbone, from the pretraining's config.
        checkpoint: Its name, for messages.

    Raises:
        ConfigError: If the backbone is no plain ResNet of one of ``DEPTHS``, if parts of it were frozen, or if it has
            values that are no numbers.
    """
    check_trained(settings, checkpoint)
    reasons = [*_other_weights(weights), *_other_settings(settings)]
    depth = depth_of(weights)
    if settings.get('depth', depth) != depth:
        reasons.append(f'its config says depth={settings["depth"]}')
    if not reasons and depth is not None:
        model = ResNet(depth=depth, out_indices=[4])
        fit = compare(weights, model.state_dict())
        if fit.exact:
            check_numbers(weights, checkpoint)
            model.load_state_dict(dict(weights))
            model.eval()  # it returns nothing, unlike torch's
            return model
        reasons = [fit.differences()]
    raise ConfigError(f'The backbone of {checkpoint} is no plain ResNet of {", ".join(map(str, DEPTHS))} layers '
                      f'({"; ".join(reasons[:3])}), so that other libraries have no model for it: `--to torch` writes '
                      'it with its computation, for torch alone; the others take type=\'mmselfsup.ResNet\' with '
                      'its usual stem, widths and strides.')


def check_trained(settings: Mapping[str, Any], checkpoint: str) -> None:
    """Check that the pretraining has trained all of its backbone.

    Args:
        settings: Of the backbone.
        checkpoint: Its name, for messages.

    Raises:
        ConfigError: If stages were frozen.
    """
    frozen = settings.get('frozen_stages', -1)
    if isinstance(frozen, int) and frozen >= 0:
        raise ConfigError(f'The training of {checkpoint} has left stages of its backbone as they were '
                          f'(frozen_stages={frozen}): export the checkpoint of the pretraining that trained them.')


def check_numbers(weights: Mapping[str, torch.Tensor], checkpoint: str) -> None:
    """Check that the weights of a backbone are finite.

    Args:
        weights: By name.
        checkpoint: Their file's name, for messages.

    Raises:
        ConfigError: If values are no numbers.
    """
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ConfigError(f'{name} of the backbone of {checkpoint} has values that are no numbers: export an '
                              'earlier checkpoint.')


def _other_weights(weights: Mapping[str, torch.Tensor]) -> Iterator[str]:
    stem = weights.get('conv1.weight')
    if any(name.startswith('stem.') for name in weights):
        yield 'its stem is of several convolutions'
    elif stem is None:
        yield 'it has no conv1'
    elif tuple(stem.shape) != _STEM:
        yield f'its first convolution is {_said(tuple(stem.shape))} instead of {_said(_STEM)}'
    if 'bn1.weight' in weights and 'bn1.running_mean' not in weights:
        yield 'its normalisation keeps no statistics'
    if depth_of(weights) is None:
        yield 'it has another number of blocks'


def _other_settings(settings: Mapping[str, Any]) -> Iterator[str]:
    kind = str(settings.get('type', 'ResNet'))
    if kind.rpartition('.')[2] != 'ResNet':
        yield f'it is a {kind}'
    for name, plain in _PLAIN.items():
        value = settings.get(name, plain)
        if (tuple(value) if isinstance(value, list) else value) != plain:
            yield f'{name}={value}'
    norm = settings.get('norm_cfg')
    eps = norm.get('eps', _EPS) if isinstance(norm, Mapping) else _EPS
    if eps != _EPS:
        yield f'eps={eps} of its normalisation'


def _said(shape: tuple[int, ...]) -> str:
    if len(shape) != 4:
        return f'of shape {shape}'
    return f'{shape[2]}x{shape[3]} from {shape[1]} to {shape[0]} channels'
