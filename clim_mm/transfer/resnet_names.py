"""What the names and shapes of weights tell of the ResNet that they are of."""

import re
from collections.abc import Mapping
from typing import Any

_BLOCK = re.compile(r'layer(\d+)\.(\d+)\.conv(\d)\.weight')


def described(weights: Mapping[str, Any]) -> str:
    """A ResNet in a few words, such as ``a ResNet-50 with a stem of 64 channels, 7 x 7``.

    Args:
        weights: Tensors by the names that MMDetection and torchvision give them. The last stages may be missing.
    """
    blocks: dict[int, int] = {}
    convolutions = 0
    for found in filter(None, map(_BLOCK.fullmatch, weights)):
        stage, block, convolution = map(int, found.groups())
        blocks[stage] = max(blocks.get(stage, 0), block + 1)
        convolutions = max(convolutions, convolution)
    if not blocks:
        return 'no ResNet'
    counts = [blocks[stage] for stage in sorted(blocks)]
    depth = 2 + convolutions * sum(counts)
    name = f'a ResNet-{depth}' if len(counts) == 4 else f'a ResNet of {"+".join(map(str, counts))} blocks'
    return f'{name} with {_stem(weights)}'


def _stem(weights: Mapping[str, Any]) -> str:
    if 'conv1.weight' in weights:
        channels, _, *sides = weights['conv1.weight'].shape
        return f'a stem of {channels} channels, {" x ".join(map(str, sides))}'
    return 'a deep stem' if any(name.startswith('stem.') for name in weights) else 'no stem'
