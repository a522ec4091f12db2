"""What the libraries call the tensors of a ResNet: from MMSelfSup's names to theirs.

torchvision, timm, MMDetection and MMSelfSup share their names: ``layer1.0.conv1.weight``.
"""

import re
from dataclasses import dataclass

from clim_mm.errors import ConfigError

_STEM = re.compile(r'(?P<kind>conv|bn)1\.(?P<leaf>\w+)')
_BLOCK = re.compile(r'layer(?P<stage>[1-4])\.(?P<block>\d+)\.'
                    r'(?P<kind>conv|bn|downsample\.)(?P<number>\d)\.(?P<leaf>\w+)')


@dataclass(frozen=True)
class Place:
    """Where in a ResNet a tensor belongs.

    Attributes:
        stage: 1 to 4, or 0 for the stem.
        block: Of the stage, from 0.
        convolution: Of the block, from 1, or 0 for the shortcut.
        is_norm: Whether it is of the normalisation that follows the convolution.
        leaf: ``weight``, ``bias``, ``running_mean``, ``running_var`` or ``num_batches_tracked``.
    """

    stage: int
    block: int
    convolution: int
    is_norm: bool
    leaf: str


def place_of(name: str) -> Place:
    """Where MMSelfSup's ResNet has the tensor of that name.

    Raises:
        ConfigError: If no plain ResNet has one of that name.
    """
    if found := _STEM.fullmatch(name):
        return Place(0, 0, 1, found['kind'] == 'bn', found['leaf'])
    found = _BLOCK.fullmatch(name)
    if found is None:
        raise ConfigError(f'No plain ResNet has a tensor {name}: give the backbone that the pretraining wrote.')
    number = int(found['number'])
    is_shortcut = found['kind'] == 'downsample.'
    is_norm = number == 1 if is_shortcut else found['kind'] == 'bn'
    return Place(int(found['stage']), int(found['block']), 0 if is_shortcut else number, is_norm, found['leaf'])


def same(name: str) -> str:
    """The name in torchvision, in timm and in MMDetection."""
    return name


def detectron2(name: str) -> str:
    """The name in detectron2, as ``res2.0.conv1.norm.weight``: its stages begin with 2, the stem being the first."""
    place = place_of(name)
    module = f'res{place.stage + 1}.{place.block}' if place.stage else 'stem'
    convolution = f'conv{place.convolution}' if place.convolution else 'shortcut'
    return f'{module}.{convolution}.{"norm." if place.is_norm else ""}{place.leaf}'


def huggingface(name: str) -> str:
    """The name in transformers' ``ResNetModel``, as ``encoder.stages.0.layers.0.layer.0.normalization.weight``."""
    place = place_of(name)
    if place.stage:
        part = f'layer.{place.convolution - 1}' if place.convolution else 'shortcut'
        module = f'encoder.stages.{place.stage - 1}.layers.{place.block}.{part}'
    else:
        module = 'embedder.embedder'
    return f'{module}.{"normalization" if place.is_norm else "convolution"}.{place.leaf}'
