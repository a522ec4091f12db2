"""Data preprocessors of named views."""

from collections.abc import Mapping
from typing import Any, Optional, Union

import torch

from clim_mm.datasets.device_views import rendered
from clim_mm.host import SelfSupDataPreprocessor
from clim_mm.registry import MODELS

Views = dict[str, list[torch.Tensor]]


@MODELS.register_module()
class ViewPreprocessor(SelfSupDataPreprocessor):
    """``mmselfsup.SelfSupDataPreprocessor`` whose inputs may be named: lists of images by the names of their views."""

    def forward(self, data: dict, training: bool = False) -> tuple[Union[Views, list[torch.Tensor]], Optional[list]]:
        """Normalised ``inputs``, in the form that they come in, and ``data_samples``."""
        inputs = data['inputs']
        if not isinstance(inputs, Mapping):
            return super().forward(data, training)
        flat = [images for view in inputs.values() for images in view]
        flat, samples = super().forward(dict(inputs=flat, data_samples=data['data_samples']), training)
        done = iter(flat)
        return {name: [next(done) for _ in view] for name, view in inputs.items()}, samples


@MODELS.register_module()
class DeviceViews(ViewPreprocessor):
    """:class:`ViewPreprocessor` that first colours, blurs, downsizes and mixes deferred views [ours].

    For a pipeline whose ``MultiRes`` has ``on_device=True``. Batches of finished images are treated as there. The views
    are rendered in float32, also under autocast.
    """

    def forward(self, data: dict, training: bool = False) -> tuple[Any, Optional[list]]:
        """The network's inputs and the data samples of what ``stack_collate`` gives, with ``draws`` if deferred."""
        if 'draws' not in data:
            return super().forward(data, training)
        data = self.cast_data(data)
        samples, draws = data['data_samples'], data['draws']
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            inputs = rendered(data['inputs'], draws['photometric'], draws.get('mixtures'), samples[0].plan)
        return super().forward(dict(inputs=inputs, data_samples=samples), training)
