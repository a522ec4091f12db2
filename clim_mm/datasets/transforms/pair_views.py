"""Two views of the anchor and two of its positive."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from clim_mm.checks import check_bool, check_list
from clim_mm.datasets.device_views import DeferredView
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PairViews(BaseTransform):
    """Load an anchor and its positive, and draw two views of each.

    One view of each is there to be mixed; the other two become keys, which are never mixed [csml].

    Required keys: ``anchor``, ``positive``: data infos of :class:`NeighborPairs`.

    Added keys: ``views``, by name a list of (r, r, 3) uint8 for r in R: ``query`` and ``positive_query``, the views to
    mix, ``anchor_key`` and ``positive_key``. And ``lam``, the weight of the anchor's key for each query, a list of
    floats: 1.0 for an anchor without a positive, so that the loss is MoCo's, else 0.0: without mixing the positive is
    pulled by a plain NCE [paper Table 6, "none"].

    Multi-crop (paper Table 7) is a ``view`` of several :class:`MultiRes`, by ``mmselfsup.MultiView``, beside a
    ``key_view`` of the large one alone. The paper's 2 x 224 + 2 x 96 are then: the query and the key at 224, and two
    small queries at 96, each from a window of its own. Every crop of the anchor is mixed with the positive's crop in
    the same place of the list, by one relative rectangle or one ``lam``; each mixed crop is pulled towards the large
    keys alone; the loss is the mean over these pairs [ours: the paper does not say; small crops are no keys in SwAV
    either].

    Args:
        load: Transforms, or their configs, run once on each of the two images.
        view: Transforms, or their configs, that draw a view: a list of images. Run twice on each.
        key_view: Likewise, for the two views that become keys. None takes ``view``.
        mixed: Whether a transform that mixes follows. If not, ``positive_query`` is not drawn.
    """

    def __init__(self, load: Sequence, view: Sequence, key_view: Optional[Sequence] = None, mixed: bool = True) -> None:
        for name, transforms in dict(load=load, view=view, key_view=view if key_view is None else key_view).items():
            check_list(f'{name} of PairViews', transforms)
        check_bool('mixed of PairViews', mixed)
        self.load = Compose(load)
        self.view = Compose(view)
        self.key_view = self.view if key_view is None else Compose(key_view)
        self.mixed = mixed

    def transform(self, results: dict) -> dict:
        """Add the views, and the weights of the queries."""
        images = {name: self.load(results[name]) for name in ('anchor', 'positive')}
        drawn = [('query', 'anchor', self.view), ('positive_query', 'positive', self.view),
                 ('anchor_key', 'anchor', self.key_view), ('positive_key', 'positive', self.key_view)]
        views = {name: _flat(view(dict(images[image]))['img'])
                 for name, image, view in drawn if self.mixed or name != 'positive_query'}
        num_queries = sum(len(DeferredView.of(view).resolutions) for view in views['query'])
        return dict(results, views=views, lam=[0.0 if results['positive_idx'] >= 0 else 1.0] * num_queries)


def _flat(crops: list) -> list[np.ndarray]:
    """The images of a view: each crop of MultiView is one, or a list of them."""
    return [image for crop in crops for image in (crop if isinstance(crop, list) else [crop])]
