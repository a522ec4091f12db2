"""The data preprocessor that finishes the views on the device."""

from typing import Optional

import torch
from mmselfsup.models.utils import SelfSupDataPreprocessor

from clim_mm.device_views import rendered
from clim_mm.registry import MODELS


@MODELS.register_module()
class DeviceViews(SelfSupDataPreprocessor):
    """``mmselfsup.SelfSupDataPreprocessor`` that colours, blurs, downsizes and mixes deferred views first [ours].

    For a pipeline whose ``MultiRes`` has ``on_device=True``. Batches of finished images, such as those of the feature
    extraction, are treated as there. The views are rendered in float32, also under autocast.

    Args:
        **kwargs: As there: ``mean``, ``std``, ``bgr_to_rgb``, ``non_blocking``.
    """

    def forward(self, data: dict, training: bool = False) -> tuple[list[torch.Tensor], Optional[list]]:
        """The network's inputs and the data samples.

        Args:
            data: As ``stack_collate`` gives it: ``inputs`` and ``data_samples``, and ``draws`` if the views are
                deferred.
            training: As there.
        """
        if 'draws' not in data:
            return super().forward(data, training)
        data = self.cast_data(data)
        samples, draws = data['data_samples'], data['draws']
        with torch.no_grad(), torch.autocast(draws['photometric'].device.type, enabled=False):
            inputs = rendered(data['inputs'], draws['photometric'], draws.get('mixtures'), samples[0].plan)
        return super().forward(dict(inputs=inputs, data_samples=samples), training)
