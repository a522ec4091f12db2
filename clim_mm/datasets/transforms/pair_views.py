"""Two views of the anchor and two of its positive."""

from collections.abc import Sequence

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

    Args:
        load: Transforms, or their configs, run once on each of the two images.
        view: Transforms, or their configs, that draw a view, run twice on each.

    Raises:
        ConfigError: If one of the two is no list, or empty.
    """

    def __init__(self, load: Sequence, view: Sequence) -> None:
        check_list('load of PairViews', load)
        check_list('view of PairViews', view)
        self.load = Compose(load)
        self.view = Compose(view)

    def transform(self, results: dict) -> dict:
        """Add the four views."""
        anchor, positive = self.load(results['anchor']), self.load(results['positive'])
        for name, image in [('query', anchor), ('positive_query', positive), ('anchor_key', anchor),
                            ('positive_key', positive)]:
            results[name] = self.view(dict(image))['img']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(load={self.load}, view={self.view})'
