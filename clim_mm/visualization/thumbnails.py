"""Small pictures of many images, to be put inside a page of a bounded size."""

import base64
import os.path as osp
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Union

import cv2
import mmcv
import numpy as np
from mmengine.dataset import BaseDataset, Compose

from clim_mm.errors import UnreadableImage

SIDE = 64  # pixels, where nothing else is set [ours]
_THREADS = 8  # they wait for the disk as often as for a core
# Share of the side, and JPEG quality; each step takes about a third off the one before [ours].
_STEPS = ((1, 85), (1, 70), (1, 50), (3 / 4, 55), (5 / 8, 50), (1 / 2, 45), (3 / 8, 40), (1 / 4, 35))


def read_thumbnails(source: BaseDataset,
                    ids: Iterable[int],
                    side: int = SIDE,
                    load: Sequence = (dict(type='clim_mm.LoadImage'), )) -> dict[int, Union[np.ndarray, str]]:
    """Read each image once, and keep the square in its middle.

    Args:
        source: An MMEngine-style image dataset.
        ids: Of the images.
        side: Of the squares, in pixels.
        load: Transforms, or their configs, that make ``img``, (H, W, 3) uint8, BGR, of a data info.

    Returns:
        By id (side, side, 3) uint8, BGR; of an unreadable image the reason, in a few words.
    """
    transforms = Compose(load)

    def read(image_id: int) -> Union[np.ndarray, str]:
        try:
            return _square(transforms(source.get_data_info(image_id))['img'], side)
        except UnreadableImage as error:
            return error.reason

    wanted = [int(image_id) for image_id in ids]
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(wanted, pool.map(read, wanted), strict=True))


@dataclass(frozen=True)
class Jpegs:
    """Pictures of one size as JPEG files, what they have in common said once.

    Attributes:
        side, quality: With which they were encoded.
        head: Base64 of the bytes with which every file begins: its tables take as much room as a small picture.
        tails: Base64 of the rest of each file, by id. ``head + tail`` is the base64 of the file.
    """

    side: int
    quality: int
    head: str
    tails: dict[int, str]


def encode_within(pictures: Mapping[int, np.ndarray], most_bytes: int) -> Jpegs:
    """Encode pictures as well as they fit.

    Args:
        pictures: (s, s, 3) uint8, BGR, by id, all of one size.
        most_bytes: Of all base64 together.

    Returns:
        The best of a few sizes and qualities that fits; the smallest where none does.
    """
    for share, quality in _STEPS:
        jpegs = _encode(pictures, share, quality)
        if len(jpegs.head) + sum(map(len, jpegs.tails.values())) <= most_bytes:
            break
    return jpegs


def _encode(pictures: Mapping[int, np.ndarray], share: float, quality: int) -> Jpegs:
    files, side = {}, 0
    for image_id, picture in pictures.items():
        side = max(8, round(len(picture) * share))
        files[image_id] = _jpeg(picture if side == len(picture) else _resized(picture, side), quality)
    head = osp.commonprefix(list(files.values())) or b''
    head = head[:len(head) // 3 * 3]  # so that the two parts' base64 can be joined
    tails = {image_id: base64.b64encode(data[len(head):]).decode() for image_id, data in files.items()}
    return Jpegs(side, quality, base64.b64encode(head).decode(), tails)


def _jpeg(picture: np.ndarray, quality: int) -> bytes:
    return cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def _square(image: np.ndarray, side: int) -> np.ndarray:
    height, width = image.shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    return _resized(image[top:top + least, left:left + least], side)


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    shrinks = side < len(image)
    return mmcv.imresize(image, (side, side), interpolation='area' if shrinks else 'bicubic')
