"""A sample of the images, opened as the training will."""

import io
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional

import numpy as np
from mmengine.fileio import get
from PIL import Image

from clim_mm.causes import machine_error
from clim_mm.datasets import LoadImage
from clim_mm.errors import StorageError, UnreadableImage
from clim_mm.storage import patiently

# PIL's name of what is in a file: what a person calls it. 8-bit colour is what is expected.
_ODD_MODES = {
    '1': 'grey', 'L': 'grey', 'LA': 'alpha', 'PA': 'alpha', 'RGBA': 'alpha', 'RGBa': 'alpha', 'La': 'alpha',
    'CMYK': 'CMYK', 'I;16': '16-bit', 'I;16B': '16-bit', 'I;16L': '16-bit', 'I;16N': '16-bit', 'I': '16-bit',
    'F': '32-bit'
}
_Opened = tuple[tuple[int, int], str, int, float]  # width and height, odd mode, bytes, seconds of reading
_Found = tuple[int, tuple[int, int], str, int, float]  # the same after its id
_PNG_SIGNATURE, _PNG_BIT_DEPTH = b'\x89PNG\r\n\x1a\n', 24  # the place in the file


@dataclass(frozen=True)
class ImageSample:
    """What was found in the images that were opened.

    Attributes:
        opened: How many.
        unreadable: How many of them cannot be read; they count in nothing below.
        smallest, largest: Width and height, in pixels, of those with the fewest and the most pixels.
        odd_modes: How many are grey, or have alpha, CMYK colours or 16 bits.
        mean_bytes: Of a file.
        read_seconds: To read a file's bytes, on average.
        first_unreadable: The path of one, and the reason.
        readable_ids: Of those that were opened.
    """

    opened: int
    unreadable: int = 0
    smallest: Optional[tuple[int, int]] = None
    largest: Optional[tuple[int, int]] = None
    odd_modes: dict[str, int] = field(default_factory=dict)
    mean_bytes: float = 0.0
    read_seconds: float = 0.0
    first_unreadable: str = ''
    readable_ids: tuple[int, ...] = ()


def spread_ids(num_images: int, number: int, seed: int) -> list[int]:
    """``number`` ids, or all if there are fewer, one at random from each of as many equal parts of the set."""
    number = min(number, num_images)
    bounds = np.linspace(0, num_images, number + 1).astype(int)
    return np.random.default_rng(seed).integers(bounds[:-1], bounds[1:]).tolist()


def source_of(dataset: Any) -> Optional[Any]:
    """The dataset that tells the images' paths, inside what wraps it; None if none does."""
    while dataset is not None and not hasattr(dataset, 'get_data_info'):
        dataset = getattr(dataset, 'dataset', None)
    return dataset


def sample_images(source: Any, number: int = 64, seed: int = 0, seconds: float = 2.0) -> ImageSample:
    """Open images that are spread over the set.

    Args:
        source: A dataset with ``get_data_info``, whose infos have an ``img_path``.
        number: Images to open.
        seed: Of the choice.
        seconds: After which no further image is opened.
    """
    ids = spread_ids(len(source), number, seed)
    order = np.random.default_rng(seed).permutation(ids).tolist()  # what is left out for time is spread as well
    stop = time.perf_counter() + seconds
    found: list[_Found] = []
    errors: list[UnreadableImage] = []
    for sample_idx in order:
        try:
            found.append((sample_idx, *_open(source.get_data_info(sample_idx)['img_path'])))
        except UnreadableImage as error:
            errors.append(error)
        if time.perf_counter() > stop:
            break
    return _summary(found, errors)


def _open(path: str) -> _Opened:
    """Size, odd mode if any, bytes and seconds of reading of an image that the training can read.

    Raises:
        UnreadableImage: If it cannot be read.
        StorageError: If the disk or the network fails for a minute.
    """
    start = time.perf_counter()
    try:
        content = patiently(partial(get, path), path)
    except StorageError:
        raise
    except OSError as error:
        raise machine_error(error) or UnreadableImage.of(path, error.strerror or str(error)) from error
    seconds = time.perf_counter() - start
    height, width = LoadImage().transform(dict(img_path=path))['img'].shape[:2]
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = _ODD_MODES.get(image.mode, '')
    except (OSError, Image.DecompressionBombError):
        kind = ''  # a format that the training's decoder knows, and PIL does not
    if content.startswith(_PNG_SIGNATURE) and content[_PNG_BIT_DEPTH] == 16:
        kind = '16-bit'  # of colour images PIL tells only the 8 bits that it would give
    return (width, height), kind, len(content), seconds


def _summary(found: Sequence[_Found], errors: Sequence[UnreadableImage]) -> ImageSample:
    opened, first_unreadable = len(found) + len(errors), ''
    if errors:
        first_unreadable = f'{errors[0].path} ({errors[0].reason})'
    if not found:
        return ImageSample(opened, len(errors), first_unreadable=first_unreadable)
    ids, sizes, kinds, lengths, seconds = zip(*found, strict=True)
    by_pixels = sorted(sizes, key=lambda size: size[0] * size[1])
    return ImageSample(
        opened=opened,
        unreadable=len(errors),
        smallest=by_pixels[0],
        largest=by_pixels[-1],
        odd_modes=dict(Counter(filter(None, kinds))),
        mean_bytes=float(np.mean(lengths)),
        read_seconds=float(np.mean(seconds)),
        first_unreadable=first_unreadable,
        readable_ids=tuple(sorted(ids)))
