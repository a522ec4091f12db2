"""From the named views of a sample to what a batch is made of."""

from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData

from clim_mm.datasets.device_views import DeferredView, RenderPlan
from clim_mm.host import PackSelfSupInputs
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackPair(PackSelfSupInputs):
    """Pack the views of a pair under their names.

    ``inputs`` becomes a dict of ``query``, ``anchor_key`` and ``positive_key``, each a list of (3, r, r) uint8 tensors:
    the keys at every r of R, the queries likewise, or more of them with an unmixed term or with more crops for queries
    than for keys. ``data_samples`` carries ``sample_idx``, and as meta info ``positive_idx``, ``lam`` (a list, one for
    each query) and ``table_version``. The value of ``sample_idx`` is a NumPy array: a tensor for each image would come
    from its worker by a file and a descriptor of its own, and where one cannot be had the batch would be lost without a
    word.

    If any view is deferred to the device (:class:`MultiRes` with ``on_device``), ``inputs`` has the views as they are,
    also ``positive_query`` if there is mixing. Beside it then are ``draws``, a dict of ``photometric``, by the views'
    names (V, ROW) float32, and, if there is mixing, ``mixtures``, (Q, 7) float32; and as meta info ``plan``, a
    :class:`RenderPlan`.
    """

    def __init__(self) -> None:
        super().__init__(algorithm_keys=[], meta_keys=['positive_idx', 'lam', 'table_version'])

    def transform(self, results: dict) -> dict:
        """Give ``inputs`` and ``data_samples``."""
        views, mixtures = dict(results['views']), results.get('mixtures')
        if not mixtures:
            views.pop('positive_query', None)  # drawn, but nothing was mixed
        if not any(isinstance(view, DeferredView) for images in views.values() for view in images):
            return self._packed(results, views)
        deferred = {name: [DeferredView.of(view) for view in images] for name, images in views.items()}
        plan = RenderPlan(
            bool(results.get('unmixed_term')),
            {name: tuple(view.resolutions for view in images) for name, images in deferred.items()},
            max(view.largest_sigma for images in deferred.values() for view in images))
        packed = self._packed(results, {name: [view.image for view in images] for name, images in deferred.items()})
        packed['data_samples'].set_metainfo(dict(plan=plan))
        draws: dict[str, Any] = dict(
            photometric={name: _stacked([view.draws for view in images]) for name, images in deferred.items()})
        if mixtures:
            draws['mixtures'] = _stacked(mixtures)
        return dict(packed, draws=draws)

    def _packed(self, results: dict, views: dict[str, list[np.ndarray]]) -> dict:
        flat = [image for images in views.values() for image in images]
        packed = super().transform(dict(results, img=flat))
        tensors = iter(packed['inputs'])
        packed['inputs'] = {name: [next(tensors) for _ in images] for name, images in views.items()}
        packed['data_samples'].sample_idx = InstanceData(value=np.array([results['sample_idx']]))
        return packed


def _stacked(draws: list) -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn.as_row() for drawn in draws]))
