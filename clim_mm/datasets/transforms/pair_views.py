"""Two views of the anchor and two of its positive."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from clim_mm.checks import check_list
from clim_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PairViews(BaseTransform):
    """Load an anchor and its positive, and draw two views of each.

    One view of each is there to be mixed; the other two become keys, which are never mixed [csml].

    Required keys: ``anchor``, ``positive``: data infos of :class:`NeighborPairs`.

    Added keys, each a list of (r, r, 3) uint8 for r in R: ``query`` and ``positive_query``, the views to mix;
    ``anchor_key`` and ``positive_key``.

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

    Raises:
        ConfigError: If one of them is no list, or empty.
    """

    def __init__(self, load: Sequence, view: Sequence, key_view: Optional[Sequence] = None) -> None:
        check_list('load of PairViews', load)
        check_list('view of PairViews', view)
        if key_view is not None:
            check_list('key_view of PairViews', key_view)
        self.load = Compose(load)
        self.view = Compose(view)
        self.key_view = self.view if key_view is None else Compose(key_view)

    def transform(self, results: dict) -> dict:
        """Add the four views."""
        anchor, positive = self.load(results['anchor']), self.load(results['positive'])
        for name, image, view in [('query', anchor, self.view), ('positive_query', positive, self.view),
                                  ('anchor_key', anchor, self.key_view), ('positive_key', positive, self.key_view)]:
            results[name] = _flat(view(dict(image))['img'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(load={self.load}, view={self.view}, key_view={self.key_view})'


def _flat(crops: list) -> list[np.ndarray]:
    """The images of a view: each crop of MultiView is one, or a list of them."""
    return [image for crop in crops for image in (crop if isinstance(crop, list) else [crop])]
