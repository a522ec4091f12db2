"""Self-contained HTML pages of images: what all of them share, in Python; ``page.html`` is the rest of it."""

import base64
import json
import math
import os.path as osp
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, Optional, Union

import cv2
import numpy as np
from mmengine.dataset import BaseDataset, Compose

from clim_mm.errors import UnreadableImage, printable

SIDE = 64  # of a thumbnail, in pixels [ours]
MOST_BYTES = 14_000_000  # of a page [ours]
LOAD = (dict(type='clim_mm.LoadImage'), )
# Scale of the side, and JPEG quality; each step saves about a third of the bytes [ours].
_STEPS = ((1, 85), (1, 70), (1, 50), (3 / 4, 55), (5 / 8, 50), (1 / 2, 45), (3 / 8, 40), (1 / 4, 35))
_THREADS = 8  # they wait for the disk as often as for a core


def image_entries(source: BaseDataset, ids: Sequence[int], labels: Sequence[Optional[int]],
                  clusters: np.ndarray) -> dict[int, list]:
    """Path below the data root, label and cluster by id.

    Args:
        labels: Of the images of ``ids``, in their order.
        clusters: (N,) int, of all images of the source; -1 = none.
    """
    root = _root(source)
    return {image_id: [printable(str(source.get_data_info(image_id).get('img_path', '')).removeprefix(root)), label,
                       int(clusters[image_id])] for image_id, label in zip(ids, labels, strict=True)}


def filled_page(own: str, data: dict[str, Any], source: BaseDataset, thumbnail: int, max_bytes: int,
                load: Sequence) -> str:
    """``page.html`` with a page's own part and its data, to which the pictures are added.

    Args:
        own: File beside ``page.html`` with the page's explanation and script.
        data: ``facts``, a ``title`` and a ``note`` among them; ``labels``, names by label; ``images``, as by
            :func:`image_entries`; and what else the page's script draws from.
        thumbnail: Side in pixels, reduced if the page would exceed ``max_bytes`` (thousands of rows still may).
        load: Transforms, or their configs, that turn a data info into ``img``, (H, W, 3) uint8, BGR.
    """
    files = resources.files(__package__)
    template, part = (files.joinpath(name).read_text(encoding='utf-8') for name in ('page.html', own))
    return filled_template(template.replace('@PAGE@', part), data, source, thumbnail, max_bytes, load)


def filled_template(template: str, data: dict[str, Any], source: BaseDataset, thumbnail: int, max_bytes: int,
                    load: Sequence) -> str:
    """A page whose ``@SHARED@`` is the script of all pages, and ``@DATA@`` the data with the pictures.

    Arguments as for :func:`filled_page`.
    """
    shared = resources.files(__package__).joinpath('shared.js').read_text(encoding='utf-8')
    template = template.replace('@SHARED@', shared)
    images = data['images']
    data = dict(data, facts=dict(data['facts'], place=printable(_root(source))), head='',
                labels=[printable(str(name)) for name in data['labels']])
    pictures = read_thumbnails(source, list(images), thumbnail, load)
    readable = {image_id: picture for image_id, picture in pictures.items() if not isinstance(picture, str)}
    data['head'], tails = encode_within(readable, max_bytes - len(template.encode()) - len(_json(data)))
    for image_id, entry in images.items():
        entry += [tails[image_id]] if image_id in tails else [None, pictures[image_id]]
    return template.replace('@DATA@', _json(data))


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


def _root(source: BaseDataset) -> str:
    return osp.join(getattr(source, 'data_root', None) or '', '')


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if side < len(image) else cv2.INTER_CUBIC)


def number(value: float) -> Optional[float]:
    """A figure as JSON has it: four decimals, None for NaN and infinity."""
    return round(float(value), 4) if math.isfinite(value) else None


def _json(value: Any) -> str:
    """As ASCII that can stand inside a script element, whatever the texts are."""
    text = json.dumps(value, separators=(',', ':'))
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')
