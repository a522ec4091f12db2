"""A linear probe at several depths of one backbone: which of its blocks separate the classes [csml]."""

from contextlib import ExitStack
from typing import Any

import torch
import torch.nn as nn

from clim_mm.errors import ConfigError
from clim_mm.host import ImageClassifier
from clim_mm.registry import MODELS


@MODELS.register_module()
class DepthProbe(ImageClassifier):
    """``mmcls.ImageClassifier`` whose head is given the feature maps of named modules of the backbone.

    Args:
        points: By point, the module of the backbone whose output is classified there, as in ``res4='layer3'``. The
            head has the same points.
        others: Those of ``mmcls.ImageClassifier``.
    """

    def __init__(self, points: dict[str, str], **others: Any) -> None:
        super().__init__(**others)
        modules = dict(self.backbone.named_modules())
        if missing := [path for path in points.values() if path not in modules]:
            raise ConfigError(f'points of DepthProbe: the backbone has no {missing[0]!r}: name modules of it, such as '
                              'layer3 or layer4.0.')
        if {*points} != {*self.head.heads}:
            raise ConfigError(f'The points of DepthProbe are {", ".join(points)}, but those of its head are '
                              f'{", ".join(self.head.heads)}: give both the same.')
        self.points = dict(points)

    def extract_feat(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """By point, the (N, C, H, W) feature maps of (N, 3, H, W) images."""
        modules, maps = dict(self.backbone.named_modules()), {}

        def keep(point: str) -> Any:

            def hook(module: nn.Module, arguments: Any, output: torch.Tensor) -> None:
                maps[point] = output

            return hook

        with ExitStack() as hooks:
            for point, path in self.points.items():
                hooks.enter_context(modules[path].register_forward_hook(keep(point)))
            self.backbone(inputs)
        return maps
