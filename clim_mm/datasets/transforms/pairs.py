"""Views of an anchor and of its positive: how they are drawn, and how they are packed for a batch."""

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from mmengine.structures import InstanceData

from clim_mm.checks import check_bool, check_choice, check_list
from clim_mm.errors import ConfigError
from clim_mm.host import PackSelfSupInputs
from clim_mm.registry import TRANSFORMS

from ..device_views import DeferredView, RenderPlan
from .crops import MultiRes


@TRANSFORMS.register_module()
class PairViews(BaseTransform):
    """Load ``anchor`` and ``positive``, data infos of :class:`NeighborPairs`, and draw two views of each.

    Added keys: ``views``, by name a list of (r, r, 3) uint8 for r in R: ``query`` and ``positive_query``, the views to
    mix, ``anchor_key`` and ``positive_key``, which are never mixed [csml]. And ``lam``, the weight of the anchor's key
    for each image of ``query``, a list of floats: 1.0 for an anchor without a positive, so that the loss is MoCo's,
    else 0.0: without mixing the positive is pulled by a plain NCE [paper Table 6, "none"].

    If there are ``other_positives``, further data infos, ``positive_key_2``, ``positive_key_3`` ... are views of them.

    Multi-crop (paper Table 7) is a ``view`` of several :class:`MultiRes`, by ``mmselfsup.MultiView``, beside a
    ``key_view`` of the large one alone. Each crop of the anchor is mixed with the positive's in the same place of the
    list, and pulled towards the large keys alone [ours: the paper does not say; in SwAV small crops are no keys].

    Args:
        load: Transforms, or their configs, run once on each of the two images.
        view: Transforms, or their configs, that draw a view: a list of images. Run twice on each.
        key_view: Likewise, for the two views that become keys. None takes ``view``.
        mixed: Whether a transform that mixes follows. If not, ``positive_query`` is not drawn.
        unmixed: Of ``anchor`` and ``positive``: whose query is passed on as it was before mixing, as ``anchor_query``
            or ``positive_query`` [csml: both]. Not mixed and given, there is no ``query``.
        crops: Transforms, or their configs, that draw further, small views of the anchor, ``anchor_crops``.
        shared_window: Cut query and key of an image out of the same window, flipped and coloured apart [paper 3.3's
            "the same content but different resolutions", in its other reading]. Needs views of one ``MultiRes``.
    """

    def __init__(self, load: Sequence, view: Sequence, key_view: Optional[Sequence] = None, mixed: bool = True,
                 unmixed: Sequence[str] = (), crops: Sequence = (), shared_window: bool = False) -> None:
        for name, transforms in dict(load=load, view=view, key_view=view if key_view is None else key_view).items():
            check_list(f'{name} of PairViews', transforms)
        check_bool('mixed of PairViews', mixed)
        for name in unmixed:
            check_choice('Each of unmixed of PairViews', name, ('anchor', 'positive'))
        self.load = Compose(load)
        self.view = Compose(view)
        self.key_view = self.view if key_view is None else Compose(key_view)
        self.mixed = mixed
        self.unmixed = tuple(unmixed)
        self.crops = Compose(crops)
        check_bool('shared_window of PairViews', shared_window)
        if shared_window and not all(isinstance(drawn.transforms[0], MultiRes)
                                     for drawn in (self.view, self.key_view)):
            raise ConfigError('shared_window of PairViews needs a view, and a key_view if there is one, that begins '
                              'with MultiRes: change them, or leave shared_window out.')
        self.shared_window = shared_window

    def transform(self, results: dict) -> dict:
        """Add the views, and the weights of the queries."""
        images = {name: self.load(results[name]) for name in ('anchor', 'positive')}
        unmixed = {f'{name}_query': name for name in self.unmixed} or dict(query='anchor')
        queries = dict(query='anchor', positive_query='positive') if self.mixed else unmixed
        drawn = [(name, images[image], self.view) for name, image in queries.items()]
        drawn += [(f'{name}_key', image, self.key_view) for name, image in images.items()]
        drawn += [(f'positive_key_{place}', self.load(info), self.key_view)
                  for place, info in enumerate(results.get('other_positives', ()), start=2)]
        if self.crops.transforms:
            drawn.append(('anchor_crops', dict(images['anchor']), self.crops))  # a copy, which has no window
        views = {}
        for name, image, view in drawn:
            seen = view(dict(image))
            views[name] = _flat(seen['img'])
            if self.shared_window and 'window' in seen:
                image['window'] = seen['window']  # the next view of this image begins from it
        num_queries = sum(len(DeferredView.of(view).resolutions) for view in views.get('query', ()))
        return dict(results, views=views, unmixed=self.unmixed,
                    lam=[0.0 if results['positive_idx'] >= 0 else 1.0] * num_queries)


def _flat(crops: list) -> list[np.ndarray]:
    """The images of a view: each crop of MultiView is one, or a list of them."""
    return [image for crop in crops for image in (crop if isinstance(crop, list) else [crop])]


@TRANSFORMS.register_module()
class PackPair(PackSelfSupInputs):
    """Pack the views of a pair under their names.

    ``inputs`` becomes a dict by the names of the views, each a list of (3, r, r) uint8 tensors. ``data_samples``
    carries ``sample_idx``, and as meta info ``positive_idx``, ``other_idx`` (ids of further positives, if there are
    any), ``lam`` (a list, one for each image of ``query``) and ``table_version``.

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
        unmixed = results.get('unmixed', ())
        if not mixtures and 'positive' not in unmixed:
            views.pop('positive_query', None)  # drawn, but nothing was mixed
        if not any(isinstance(view, DeferredView) for images in views.values() for view in images):
            return self._packed(results, views)
        deferred = {name: [DeferredView.of(view) for view in images] for name, images in views.items()}
        plan = RenderPlan(
            bool(results.get('unmixed_term')),
            unmixed,
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
        # No tensor: a worker would send it by a file descriptor of its own, and lose the batch where none is left.
        packed['data_samples'].sample_idx = InstanceData(value=np.array([results['sample_idx']]))
        if 'other_idx' in results:
            packed['data_samples'].set_metainfo(dict(other_idx=results['other_idx']))
        return packed


def _stacked(draws: list) -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn.as_row() for drawn in draws]))
