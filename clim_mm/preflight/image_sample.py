"""A sample of the images, opened as the training will."""

import io
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import numpy as np
from PIL import Image

from clim_mm.causes import machine_error
from clim_mm.datasets import LoadImage
from clim_mm.datasets.image_formats import FURTHER, header_of
from clim_mm.datasets.image_storage import backend_of
from clim_mm.errors import StorageError, UnreadableImage
from clim_mm.storage import patiently

# PIL's name of what is in a file: what a person calls it. 8-bit colour is what is expected.
_ODD_MODES = {
    '1': 'grey', 'L': 'grey', 'LA': 'alpha', 'PA': 'alpha', 'RGBA': 'alpha', 'RGBa': 'alpha', 'La': 'alpha',
    'CMYK': 'CMYK'
}
DEEP, FURTHER_BAND = '16-bit', 'with a further band'


@dataclass(frozen=True)
class _Opened:
    """What was found in one image; ``largest`` is for the attribute ``deep_largest``."""

    sample_idx: int
    size: tuple[int, int]
    kinds: tuple[str, ...]
    bytes: int
    seconds: float
    largest: Optional[int]


@dataclass(frozen=True)
class ImageSample:
    """What was found in the images that were opened.

    Attributes:
        opened: How many.
        unreadable: How many of them cannot be read; they count in nothing below.
        smallest, largest: Width and height, in pixels, of those with the fewest and the most pixels.
        odd_modes: How many are grey, or have alpha, CMYK colours, 16 bits or a further band.
        mean_bytes: Of a file.
        read_seconds: To read a file's bytes, on average.
        first_unreadable: The path of one, and the reason.
        readable_ids: Of those that were opened.
        deep_largest: Of images of 16 bits, of which the upper 8 are taken, the largest value of 256; None without such.
        left_out: What the data folder has beside the images, in words.
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
    deep_largest: Optional[int] = None
    left_out: str = ''


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


def sample_images(source: Any, number: int = 64, seed: int = 0, seconds: float = 2.0,
                  load: Optional[LoadImage] = None) -> ImageSample:
    """Open images that are spread over the set.

    Args:
        source: A dataset with ``get_data_info``, whose infos have an ``img_path``.
        number: Images to open.
        seed: Of the choice.
        seconds: After which no further image is opened.
        load: Reads them; one with its defaults if not given.
    """
    load = load or LoadImage()
    ids = spread_ids(len(source), number, seed)
    order = np.random.default_rng(seed).permutation(ids).tolist()  # what is left out for time is spread as well
    stop = time.perf_counter() + seconds
    found: list[_Opened] = []
    errors: list[UnreadableImage] = []
    for sample_idx in order:
        try:
            found.append(_open(sample_idx, source.get_data_info(sample_idx)['img_path'], load))
        except UnreadableImage as error:
            errors.append(error)
        if time.perf_counter() > stop:
            break
    return replace(_summary(found, errors), left_out=getattr(source, 'left_out', ''))


def _open(sample_idx: int, path: str, load: LoadImage) -> _Opened:
    """Look at an image that the training can read.

    Raises:
        UnreadableImage: If it cannot be read.
        StorageError: If the disk or the network fails for a minute.
    """
    start = time.perf_counter()
    try:
        content = patiently(lambda: backend_of(path, load.backend_args).get(path), path)
    except StorageError:
        raise
    except OSError as error:
        raise machine_error(error) or UnreadableImage.of(path, error.strerror or str(error)) from error
    seconds = time.perf_counter() - start
    image, header = load.transform(dict(img_path=path))['img'], header_of(content)
    kinds = [DEEP] * (header.bits == 16) + [FURTHER_BAND] * (header.extra == FURTHER)
    with suppress(OSError, Image.DecompressionBombError), Image.open(io.BytesIO(content)) as opened:
        kinds += [_ODD_MODES[opened.mode]] if opened.mode in _ODD_MODES else []  # PIL does not know all formats
    height, width = image.shape[:2]
    cut = header.bits == 16 and header.white is None and load.max_value is None
    return _Opened(sample_idx, (width, height), tuple(kinds), len(content), seconds, int(image.max()) if cut else None)


def _summary(found: Sequence[_Opened], errors: Sequence[UnreadableImage]) -> ImageSample:
    opened, first_unreadable = len(found) + len(errors), ''
    if errors:
        first_unreadable = f'{errors[0].path} ({errors[0].reason})'
    if not found:
        return ImageSample(opened, len(errors), first_unreadable=first_unreadable)
    by_pixels = sorted((one.size for one in found), key=lambda size: size[0] * size[1])
    return ImageSample(
        opened=opened,
        unreadable=len(errors),
        smallest=by_pixels[0],
        largest=by_pixels[-1],
        odd_modes=dict(Counter(kind for one in found for kind in one.kinds)),
        mean_bytes=float(np.mean([one.bytes for one in found])),
        read_seconds=float(np.mean([one.seconds for one in found])),
        first_unreadable=first_unreadable,
        readable_ids=tuple(sorted(one.sample_idx for one in found)),
        deep_largest=max((one.largest for one in found if one.largest is not None), default=None))
