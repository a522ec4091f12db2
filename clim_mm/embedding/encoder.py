"""What embeds images: the network in a checkpoint or an export, with the view that it takes of an image."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from clim_mm.datasets import SingleViews
from clim_mm.export.reading import read_network
from clim_mm.host import SelfSupDataPreprocessor
from clim_mm.models.parts.encoder import normalized

_SIZE, _MARGIN = 224, 256 / 224  # of views whose file does not tell theirs; and what evaluations cut off


class FileEncoder:
    """From a batch of views to their L2-normalised pooled features, by the network of a file.

    Args:
        path: A checkpoint of a pretraining, whose query encoder is taken, or what ``tools/export.py`` has written.

    Attributes:
        header: What the file tells of itself.
        pipeline: The transforms, as configs, that give its view of an image.
        dim: Length of the features.
    """

    def __init__(self, path: str) -> None:
        init_default_scope('clim_mm')
        self._network, self.header = read_network(path, get_device())
        wanted = self.header['input']
        self._preprocess = SelfSupDataPreprocessor(
            mean=wanted['mean'], std=wanted['std'], bgr_to_rgb=wanted['channel_order'] == 'RGB').to(get_device())
        self.pipeline: Sequence[Any] = wanted.get('view') or center_view(wanted['size'] or _SIZE)
        with torch.inference_mode():
            self.dim = self._network(torch.zeros(2, 3, _SIZE, _SIZE, device=get_device()))[1].shape[1]

    def views(self, dataset: Any, **options: Any) -> SingleViews:
        """The images of a dataset as the network sees them."""
        return SingleViews(dataset, self.pipeline, **options)

    def __call__(self, batch: dict) -> torch.Tensor:
        """(B, d) float32 of what ``collate_views`` gives."""
        inputs, _ = self._preprocess(batch)
        return normalized(self._network(inputs[0])[1])


def center_view(size: int) -> list[dict]:
    """The view of evaluations for a network that was trained on views of so many pixels."""
    return [
        dict(type='LoadImage'),
        dict(type='CenterView', edge=round(size * _MARGIN), crop_size=size),
        dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
    ]
