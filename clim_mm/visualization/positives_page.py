"""A self-contained HTML page of anchors beside their positives and the neighbours that were dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.neighbors.positives import REASONS, Explanation, explain_positives
from clim_mm.neighbors.refresh import Refresh

from .page import LOAD, MOST_BYTES, SIDE, filled_page, image_entries, label_of, number

ANCHORS = 500  # on a page [ours]
_TEXTS = dict(
    kept='chosen: admitted by the rule',
    filled='chosen, though not admitted by these features: to fill up the places, or by the features at the refresh',
    not_drawn='admitted by the rule, but not chosen: the places were taken',
    unsure='admitted by the rule, but this image is not sure enough of its neighbours',
    farther="dropped: farther from the cluster's centre than the anchor",
    other_cluster='dropped: in another cluster')


@dataclass(frozen=True)
class PageHead:
    """The top of the page.

    Attributes:
        strategy: Name of the strategy that chose the positives.
        note: A caveat for the reader.
        whole: Figures of the whole training set by name, each a share from 0 to 1.
    """

    title: str
    strategy: str
    note: str = ''
    whole: Mapping[str, float] = field(default_factory=dict)


def evenly_spread(num_images: int, num_anchors: int) -> np.ndarray:
    """Anchors for a page, always the same ones: (min(A, N),) int64 ids, ascending, with the first and the last."""
    return np.linspace(0, num_images - 1, min(num_anchors, num_images)).round().astype(np.int64)


def positives_page(source: BaseDataset,
                   found: Refresh,
                   anchors: np.ndarray,
                   head: PageHead,
                   previous: Optional[np.ndarray] = None,
                   thumbnail: int = SIDE,
                   max_bytes: int = MOST_BYTES,
                   load: Sequence = LOAD) -> str:
    """Return the page as HTML. Where the source has labels, positives with the anchor's label are marked.

    Args:
        anchors: (A,) int ids.
        previous: (A, P') int, the anchors' positives before this refresh, -1 = none.
        thumbnail: Side in pixels, reduced if the page would exceed ``max_bytes`` (thousands of anchors still may).
        load: Transforms, or their configs, that turn a data info into ``img``, (H, W, 3) uint8, BGR.
    """
    rows = _rows(found, anchors, head.strategy, previous)
    ids = sorted({image_id for row in rows for image_id in (
        row['id'], *row['gone'], *(entry[0] for entry in row['positives'] + row['neighbors']))})
    images = image_entries(source, ids, [label_of(source.get_data_info(image_id)) for image_id in ids],
                           found.assignments)
    facts = dict(
        title=head.title, strategy=head.strategy, images=len(found.positives), clusters=len(found.centroids),
        neighbors=found.neighbors.shape[1], positives=found.positives.shape[1], note=head.note,
        whole=[[name, number(share)] for name, share in head.whole.items()],
        previous=previous is not None, labelled=any(entry[1] is not None for entry in images.values()))
    data = dict(facts=facts, reasons=_TEXTS, labels=source.metainfo.get('classes') or (), anchors=rows, images=images)
    return filled_page('positives_page.html', data, source, thumbnail, max_bytes, load)


def _rows(found: Refresh, anchors: np.ndarray, strategy: str,
          previous: Optional[np.ndarray]) -> list[dict[str, Any]]:
    """What the page's script draws, one entry per anchor."""
    positives, neighbors = found.positives[anchors].astype(np.int64), found.neighbors[anchors]
    of_positives, of_neighbors = (
        explain_positives(found.features, found.centroids, found.assignments, anchors, candidates, positives, strategy)
        for candidates in (positives, neighbors))
    rows = []
    for row, anchor in enumerate(anchors.tolist()):
        before = None if previous is None else set(previous[row][previous[row] >= 0].tolist())
        chosen = sorted(_candidates(positives[row], of_positives, row), key=lambda entry: (entry[1] is None, entry[1]))
        rows.append(dict(
            id=anchor,
            center=number(of_positives.anchor_to_center[row]),
            positives=[[*entry, before is not None and entry[0] not in before] for entry in chosen],
            neighbors=_candidates(neighbors[row], of_neighbors, row),
            gone=sorted((before or set()) - {entry[0] for entry in chosen})))
    return rows


def _candidates(ids: np.ndarray, told: Explanation, row: int) -> list[list]:
    """Id, distance to the anchor, distance to the centre, and reason of each."""
    return [[int(ids[i]), number(told.to_anchor[row, i]), number(told.to_center[row, i]),
             REASONS[told.reasons[row, i]] if told.reasons[row, i] >= 0 else None]
            for i in range(len(ids)) if ids[i] >= 0]
