"""One HTML page of anchors beside their positives and their dropped neighbours; it needs nothing but itself."""

import json
import math
import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Optional

import numpy as np
from mmengine.dataset import BaseDataset

from clim_mm.errors import printable
from clim_mm.neighbors.positive_reasons import REASONS, Explanation, explain_positives
from clim_mm.neighbors.refresh import Refresh

from .thumbnails import SIDE, encode_within, read_thumbnails

ANCHORS = 500  # on a page, where nothing else is set [ours]
_TEXTS = dict(
    kept='chosen: admitted by the rule',
    filled='chosen: not admitted, but among the nearest of the rest, to fill up the places',
    not_drawn='admitted by the rule, but not drawn: the places were taken',
    farther="dropped: farther from the cluster's centre than the anchor",
    other_cluster='dropped: in another cluster')
_NEAREST_ONLY = dict(_TEXTS, kept='chosen: among the nearest', not_drawn='not chosen: the places went to nearer ones')
_DRIFTED = dict(_TEXTS, filled='chosen when the table was made, though the features of now would not admit it')


@dataclass(frozen=True)
class PageHead:
    """What the page says at its top.

    Attributes:
        title: Of the page.
        strategy: By which the positives were chosen.
        note: A sentence that the reader must know.
        whole: Shares of the whole training set, 0 to 1, by what they are of.
        drifted: Whether the features are of a later time than the choice.
    """

    title: str
    strategy: str
    note: str = ''
    whole: Mapping[str, float] = field(default_factory=dict)
    drifted: bool = False


def evenly_spread(num_images: int, num_anchors: int) -> np.ndarray:
    """Anchors for a page, always the same ones: (min(A, N),) int64 ids, ascending, the first and the last included."""
    return np.linspace(0, num_images - 1, min(num_anchors, num_images)).round().astype(np.int64)


def positives_page(source: BaseDataset,
                   features: np.ndarray,
                   found: Refresh,
                   anchors: np.ndarray,
                   head: PageHead,
                   previous: Optional[np.ndarray] = None,
                   thumbnail: int = SIDE,
                   max_bytes: int = 14_000_000,
                   load: Sequence = (dict(type='clim_mm.LoadImage'), )) -> str:
    """Make the page: HTML that opens from a file and fetches nothing.

    Where the source has labels, positives of the anchor's label are marked green, others red.

    Args:
        source: The dataset whose ids are meant.
        features: (N, d) float32, L2-normalised; rows of unreadable images are NaN.
        found: The refresh.
        anchors: (A,) int ids.
        head: What stands at the top.
        previous: (A, P') int, the anchors' positives before; -1 = none. None if there were none.
        thumbnail: Side of the pictures, in pixels; smaller ones are taken if the page would be too large.
        max_bytes: Of the page in UTF-8. Of the pictures alone can be taken away: with thousands of anchors the page is
            larger.
        load: As in ``read_thumbnails``, which keeps (thumbnail, thumbnail, 3) bytes for every image shown.
    """
    rows = _rows(features, found, anchors, head.strategy, previous)
    ids = sorted({image_id for row in rows for image_id in _ids_of(row)})
    pictures = read_thumbnails(source, ids, thumbnail, load)
    place = osp.join(getattr(source, 'data_root', None) or '', '')
    images = {image_id: _image(source.get_data_info(image_id), place, int(found.assignments[image_id]))
              for image_id in ids}
    page_data = dict(
        facts=dict(
            title=head.title, strategy=head.strategy, images=len(features), clusters=len(found.centroids),
            neighbors=found.neighbors.shape[1], positives=found.positives.shape[1], place=printable(place),
            note=head.note, whole=[[name, _number(share)] for name, share in head.whole.items()],
            previous=previous is not None, labelled=any(entry[1] is not None for entry in images.values())),
        reasons=_reason_texts(head),
        labels=[printable(str(name)) for name in source.metainfo.get('classes') or ()],
        anchors=rows,
        images=images,
        head='')
    template = resources.files(__package__).joinpath('positives_page.html').read_text(encoding='utf-8')
    without_pictures = len(template.encode()) + len(_json(page_data))
    jpegs = encode_within({image_id: picture for image_id, picture in pictures.items()
                           if not isinstance(picture, str)}, max_bytes - without_pictures)
    page_data['head'] = jpegs.head
    for image_id, entry in images.items():
        trouble = pictures[image_id]
        entry += [None, trouble] if isinstance(trouble, str) else [jpegs.tails[image_id]]
    return template.replace('@DATA@', _json(page_data))


def _rows(features: np.ndarray, found: Refresh, anchors: np.ndarray, strategy: str,
          previous: Optional[np.ndarray]) -> list[dict[str, Any]]:
    """What the page's script draws for each anchor."""
    positives, neighbors = found.positives[anchors].astype(np.int64), found.neighbors[anchors]

    def told(candidates: np.ndarray) -> Explanation:
        return explain_positives(
            features, found.centroids, found.assignments, anchors, candidates, positives, strategy)

    of_positives, of_neighbors = told(positives), told(neighbors)
    rows = []
    for row, anchor in enumerate(anchors.tolist()):
        before = None if previous is None else set(previous[row][previous[row] >= 0].tolist())
        chosen = sorted(_candidates(positives[row], of_positives, row), key=lambda entry: (entry[1] is None, entry[1]))
        now = {entry[0] for entry in chosen}
        rows.append(dict(
            id=anchor,
            center=_number(of_positives.anchor_to_center[row]),
            positives=[[*entry, before is not None and entry[0] not in before] for entry in chosen],
            neighbors=_candidates(neighbors[row], of_neighbors, row),
            gone=sorted((before or set()) - now)))
    return rows


def _candidates(ids: np.ndarray, told: Explanation, row: int) -> list[list]:
    """Id, distance to the anchor, distance to the centre and reason of each."""
    return [[int(ids[i]), _number(told.to_anchor[row, i]), _number(told.to_center[row, i]),
             REASONS[told.reasons[row, i]] if told.reasons[row, i] >= 0 else None]
            for i in range(len(ids)) if ids[i] >= 0]


def _ids_of(row: Mapping[str, Any]) -> list[int]:
    return [row['id'], *row['gone'], *(entry[0] for part in ('positives', 'neighbors') for entry in row[part])]


def _image(info: Mapping[str, Any], place: str, cluster: int) -> list:
    """Path, label and cluster of an image; its picture follows."""
    label = info.get('gt_label', -1)
    is_label = isinstance(label, (int, np.integer)) and label >= 0
    return [printable(str(info.get('img_path', '')).removeprefix(place)), int(label) if is_label else None, cluster]


def _reason_texts(head: PageHead) -> dict[str, str]:
    """Texts by reason, of those that the strategy can give."""
    texts = _DRIFTED if head.drifted else _NEAREST_ONLY if head.strategy == 'knn' else _TEXTS
    ruled_out = {'center_wise': (), 'knn_kmeans': ('filled', 'farther'), 'kmeans': ('filled', 'farther')}.get(
        head.strategy, ('filled', 'farther', 'other_cluster'))
    return {name: texts[name] for name in REASONS if name not in ruled_out or (head.drifted and name == 'filled')}


def _number(value: float) -> Optional[float]:
    return round(float(value), 4) if math.isfinite(value) else None


def _json(value: Any) -> str:
    """As ASCII that can stand inside a script element, whatever the texts are."""
    text = json.dumps(value, separators=(',', ':'))
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
