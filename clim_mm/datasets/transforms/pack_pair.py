"""From the views of a pair to what a batch is made of."""

from collections.abc import Sequence
from typing import Union

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmselfsup.datasets.transforms import PackSelfSupInputs

from clim_mm.device_views import DeferredView, Mixture, PhotometricDraws, RenderPlan
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackPair(PackSelfSupInputs):
    """Pack the query and the keys as MMSelfSup's algorithms expect them.

    ``inputs`` becomes a list of Q + 2|R| tensors, (3, r, r) uint8: the queries, then the anchor's key at every r of R,
    then the positive's. Q is |R|: the query at every r of R; or more with an unmixed term or with more crops for
    queries than for keys. ``data_samples`` carries ``sample_idx``, and as meta info ``positive_idx``, ``lam`` (a list,
    one for each query), ``table_version`` and ``unreadable``. The value of ``sample_idx`` is a NumPy array: a tensor
    for each image would come from its worker by a file and a descriptor of its own, and where one cannot be had the
    batch would be lost without a word.

    If any view is deferred to the device (:class:`MultiRes` with ``on_device``), ``inputs`` are the V views as they
    are: queries, the positive's to be mixed with them, the keys. Beside it then are ``draws``, a dict of
    ``photometric``, (V, ROW) float32, and, if there is mixing, ``mixtures``, (Q, 7) float32; and as meta info
    ``plan``, a :class:`RenderPlan`. ``lam`` has one number for each query as it will be.
    """

    def __init__(self) -> None:
        super().__init__(algorithm_keys=[], meta_keys=['positive_idx', 'lam', 'table_version', 'unreadable'])

    def transform(self, results: dict) -> dict:
        """Give ``inputs`` and ``data_samples``."""
        views = results['query'] + results['anchor_key'] + results['positive_key']
        if any(isinstance(view, DeferredView) for view in views):
            return self._deferred(results)
        lam = results['lam']
        if isinstance(lam, float):  # not mixed: the same for every query
            lam = [lam] * len(results['query'])
        return self._packed(results, views, lam)

    def _deferred(self, results: dict) -> dict:
        mixtures, lam = results.get('mixtures'), results['lam']
        roles = ['query', *(['positive_query'] if mixtures else []), 'anchor_key', 'positive_key']
        views = [DeferredView.of(view) for role in roles for view in results[role]]
        num_queries = len(results['query'])
        if isinstance(lam, float):
            lam = [lam] * sum(len(view.resolutions) for view in views[:num_queries])
        plan = RenderPlan(
            num_queries, bool(mixtures), bool(results.get('unmixed_term')),
            tuple(view.resolutions for view in views), max(view.largest_sigma for view in views))
        packed = self._packed(results, [view.image for view in views], lam)
        packed['data_samples'].set_metainfo(dict(plan=plan))
        packed['draws'] = dict(photometric=_stacked([view.draws for view in views]))
        if mixtures:
            packed['draws']['mixtures'] = _stacked(mixtures)
        return packed

    def _packed(self, results: dict, images: list[np.ndarray], lam: list[float]) -> dict:
        packed = super().transform(dict(results, img=images, lam=lam))
        packed['data_samples'].sample_idx = InstanceData(value=np.array([results['sample_idx']]))
        return packed


def _stacked(draws: Sequence[Union[PhotometricDraws, Mixture]]) -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn.as_row() for drawn in draws]))
