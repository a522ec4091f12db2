"""Linear classifiers of the feature maps at several depths, trained side by side [csml]."""

from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleDict

from clim_mm.checks import check_whole
from clim_mm.host import ClsDataSample, LinearClsHead
from clim_mm.registry import MODELS


@MODELS.register_module()
class DepthHeads(BaseModule):
    """One ``mmcls.LinearClsHead`` a point, on its feature map pooled to ``side x side`` and flattened.

    Args:
        num_classes: Number of classes.
        points: By point, ``in_channels`` of its feature map and the ``side`` that this is pooled to.
        others: Those of ``mmcls.LinearClsHead``, the same at all points.
    """

    def __init__(self, num_classes: int, points: dict[str, dict[str, int]], **others: Any) -> None:
        super().__init__()
        for point, sizes in points.items():
            for name in ('in_channels', 'side'):
                check_whole(f'points.{point}.{name} of DepthHeads', sizes.get(name), least=1)
        self.num_classes = num_classes
        self.sides = {point: sizes['side'] for point, sizes in points.items()}
        self.heads = ModuleDict({
            point: LinearClsHead(num_classes, sizes['in_channels'] * sizes['side']**2, **others)
            for point, sizes in points.items()})

    def forward(self, maps: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """By point, (N, num_classes) logits of (N, C, H, W) feature maps."""
        return {point: head(self._inputs(point, maps)) for point, head in self.heads.items()}

    def loss(self, maps: dict[str, torch.Tensor], data_samples: list[Any]) -> dict[str, torch.Tensor]:
        """The loss of each point, as in ``res4_loss``, whose sum is trained: no point's classifier sees another's."""
        return {f'{point}_{name}': value for point, head in self.heads.items()
                for name, value in head.loss(self._inputs(point, maps), data_samples).items()}

    def predict(self, maps: dict[str, torch.Tensor], data_samples: Optional[list[Any]] = None) -> list[Any]:
        """The samples, each with the prediction of every point under its name, as ``mmcls.MultiTasksMetric`` reads it.

        Args:
            data_samples: N of mmcls, or None for new ones.
        """
        if data_samples is None:
            data_samples = [ClsDataSample() for _ in next(iter(maps.values()))]
        predicted = {point: head.predict(self._inputs(point, maps), [sample.new() for sample in data_samples])
                     for point, head in self.heads.items()}
        for point, samples in predicted.items():
            for whole, sample in zip(data_samples, samples, strict=True):
                sample.set_field(True, 'eval_mask', field_type='metainfo')
                whole.set_field(sample, point)
        return data_samples

    def _inputs(self, point: str, maps: dict[str, torch.Tensor]) -> tuple[torch.Tensor]:
        """What mmcls gives a head: the outputs of a neck, of which the last counts."""
        return (F.adaptive_avg_pool2d(maps[point], self.sides[point]).flatten(1), )
