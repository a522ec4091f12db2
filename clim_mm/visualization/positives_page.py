"""A self-contained HTML page of anchors beside their positives and the neighbours that were dropped."""

import base64
import json
import math
import os.path as osp
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Optional, Union

import cv2
import numpy as np
from mmengine.dataset import BaseDataset, Compose

from clim_mm.errors import UnreadableImage, printable
from clim_mm.neighbors.positives import REASONS, Explanation, explain_positives
from clim_mm.neighbors.refresh import Refresh

ANCHORS = 500  # on a page [ours]
SIDE = 64  # of a thumbnail, in pixels [ours]
# Scale of the side, and JPEG quality; each step saves about a third of the bytes [ours].
_STEPS = ((1, 85), (1, 70), (1, 50), (3 / 4, 55), (5 / 8, 50), (1 / 2, 45), (3 / 8, 40), (1 / 4, 35))
_THREADS = 8  # they wait for the disk as often as for a core
_TEXTS = dict(
    kept='chosen: admitted by the rule',
    filled='chosen, though not admitted by these features: to fill up the places, or by the features at the refresh',
    not_drawn='admitted by the rule, but not chosen: the places were taken',
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
                   features: np.ndarray,
                   found: Refresh,
                   anchors: np.ndarray,
                   head: PageHead,
                   previous: Optional[np.ndarray] = None,
                   thumbnail: int = SIDE,
                   max_bytes: int = 14_000_000,
                   load: Sequence = (dict(type='clim_mm.LoadImage'), )) -> str:
    """Return the page as HTML. Where the source has labels, positives with the anchor's label are marked.

    Args:
        features: (N, d) float32, L2-normalised; NaN for unreadable images.
        anchors: (A,) int ids.
        previous: (A, P') int, the anchors' positives before this refresh, -1 = none.
        thumbnail: Side in pixels, reduced if the page would exceed ``max_bytes`` (thousands of anchors still may).
        load: Transforms, or their configs, that turn a data info into ``img``, (H, W, 3) uint8, BGR.
    """
    rows = _rows(features, found, anchors, head.strategy, previous)
    ids = sorted({image_id for row in rows for image_id in (
        row['id'], *row['gone'], *(entry[0] for entry in row['positives'] + row['neighbors']))})
    root = osp.join(getattr(source, 'data_root', None) or '', '')
    images: dict[int, list] = {}
    for image_id in ids:
        info = source.get_data_info(image_id)
        images[image_id] = [printable(str(info.get('img_path', '')).removeprefix(root)), label_of(info),
                            int(found.assignments[image_id])]
    page_data = dict(
        facts=dict(
            title=head.title, strategy=head.strategy, images=len(features), clusters=len(found.centroids),
            neighbors=found.neighbors.shape[1], positives=found.positives.shape[1], place=printable(root),
            note=head.note, whole=[[name, _number(share)] for name, share in head.whole.items()],
            previous=previous is not None, labelled=any(entry[1] is not None for entry in images.values())),
        reasons=_TEXTS,
        labels=[printable(str(name)) for name in source.metainfo.get('classes') or ()],
        anchors=rows,
        images=images,
        head='')
    template = resources.files(__package__).joinpath('positives_page.html').read_text(encoding='utf-8')
    pictures = read_thumbnails(source, ids, thumbnail, load)
    readable = {image_id: picture for image_id, picture in pictures.items() if not isinstance(picture, str)}
    page_data['head'], tails = encode_within(readable, max_bytes - len(template.encode()) - len(_json(page_data)))
    for image_id, entry in images.items():
        entry += [tails[image_id]] if image_id in tails else [None, pictures[image_id]]
    return template.replace('@DATA@', _json(page_data))


def _rows(features: np.ndarray, found: Refresh, anchors: np.ndarray, strategy: str,
          previous: Optional[np.ndarray]) -> list[dict[str, Any]]:
    """What the page's script draws, one entry per anchor."""
    positives, neighbors = found.positives[anchors].astype(np.int64), found.neighbors[anchors]
    of_positives, of_neighbors = (
        explain_positives(features, found.centroids, found.assignments, anchors, candidates, positives, strategy)
        for candidates in (positives, neighbors))
    rows = []
    for row, anchor in enumerate(anchors.tolist()):
        before = None if previous is None else set(previous[row][previous[row] >= 0].tolist())
        chosen = sorted(_candidates(positives[row], of_positives, row), key=lambda entry: (entry[1] is None, entry[1]))
        rows.append(dict(
            id=anchor,
            center=_number(of_positives.anchor_to_center[row]),
            positives=[[*entry, before is not None and entry[0] not in before] for entry in chosen],
            neighbors=_candidates(neighbors[row], of_neighbors, row),
            gone=sorted((before or set()) - {entry[0] for entry in chosen})))
    return rows


def _candidates(ids: np.ndarray, told: Explanation, row: int) -> list[list]:
    """Id, distance to the anchor, distance to the centre, and reason of each."""
    return [[int(ids[i]), _number(told.to_anchor[row, i]), _number(told.to_center[row, i]),
             REASONS[told.reasons[row, i]] if told.reasons[row, i] >= 0 else None]
            for i in range(len(ids)) if ids[i] >= 0]


def label_of(info: Mapping[str, Any]) -> Optional[int]:
    """The label in a data info, None if there is none."""
    label = info.get('gt_label', -1)
    return int(label) if isinstance(label, (int, np.integer)) and label >= 0 else None


def read_thumbnails(source: BaseDataset, ids: Sequence[int], side: int,
                    load: Sequence) -> dict[int, Union[np.ndarray, str]]:
    """Central squares by id, (side, side, 3) uint8, BGR, each image read once; or why it is unreadable, a string."""
    transforms = Compose(load)

    def read(image_id: int) -> Union[np.ndarray, str]:
        try:
            image = transforms(source.get_data_info(image_id))['img']
        except UnreadableImage as error:
            return error.reason
        least = min(image.shape[:2])
        top, left = ((length - least) // 2 for length in image.shape[:2])
        return _resized(image[top:top + least, left:left + least], side)

    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(ids, pool.map(read, ids), strict=True))


def encode_within(pictures: Mapping[int, np.ndarray], max_bytes: int) -> tuple[str, dict[int, str]]:
    """Encode square pictures as JPEGs, at the best of a few sizes and qualities that fits, else the smallest.

    Gives in base64 what all files begin with, whose tables take as much room as a small picture, and the rest by id.
    """
    for scale, quality in _STEPS:
        files = {}
        for image_id, picture in pictures.items():
            small = _resized(picture, max(8, round(len(picture) * scale)))
            files[image_id] = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        shared = osp.commonprefix(list(files.values())) or b''
        shared = shared[:len(shared) // 3 * 3]  # base64 joins at every third byte
        head = base64.b64encode(shared).decode()
        tails = {image_id: base64.b64encode(data[len(shared):]).decode() for image_id, data in files.items()}
        if len(head) + sum(map(len, tails.values())) <= max_bytes:
            break
    return head, tails


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if side < len(image) else cv2.INTER_CUBIC)


def _number(value: float) -> Optional[float]:
    return round(float(value), 4) if math.isfinite(value) else None


def _json(value: Any) -> str:
    """As ASCII that can stand inside a script element, whatever the texts are."""
    text = json.dumps(value, separators=(',', ':'))
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
