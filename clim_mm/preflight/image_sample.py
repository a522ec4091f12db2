"""A sample of the images, opened as the training will."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from clim_mm.datasets import LoadImage
from clim_mm.datasets.transforms.load_image import content_of
from clim_mm.errors import UnreadableImage


@dataclass(frozen=True)
class ImageSample:
    """What was found in the images that were opened; unreadable ones count in nothing but the first two."""

    opened: int
    unreadable: int = 0
    smallest: Optional[tuple[int, int]] = None  # width and height of that with the fewest pixels
    largest: Optional[tuple[int, int]] = None
    mean_bytes: float = 0.0  # of a file
    read_seconds: float = 0.0  # for a file's bytes, on average
    first_unreadable: str = ''  # its path, and the reason
    readable_ids: tuple[int, ...] = ()
    left_out: str = ''  # what the data folder has beside the images, in words


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
    """Open a ``number`` of images, spread over a dataset whose infos have an ``img_path``, for so many seconds.

    Raises:
        StorageError: If the disk or the network fails for a minute.
    """
    load = load or LoadImage()
    ids = spread_ids(len(source), number, seed)
    stop = time.perf_counter() + seconds
    sizes: dict[int, tuple[int, int]] = {}
    lengths, times = [], []
    errors: list[UnreadableImage] = []
    for sample_idx in np.random.default_rng(seed).permutation(ids).tolist():  # what time leaves out is spread as well
        path, start = source.get_data_info(sample_idx)['img_path'], time.perf_counter()
        content = b''
        with suppress(OSError):  # of which the loader tells
            content = content_of(path, load.backend_args)
        read = time.perf_counter() - start
        try:
            height, width = load.transform(dict(img_path=path))['img_shape']
        except UnreadableImage as error:
            errors.append(error)
        else:
            sizes[sample_idx] = width, height
            lengths.append(len(content))
            times.append(read)
        if time.perf_counter() > stop:
            break
    by_pixels = sorted(sizes.values(), key=lambda size: size[0] * size[1])
    return ImageSample(
        opened=len(sizes) + len(errors),
        unreadable=len(errors),
        smallest=by_pixels[0] if sizes else None,
        largest=by_pixels[-1] if sizes else None,
        mean_bytes=float(np.mean(lengths or [0])),
        read_seconds=float(np.mean(times or [0])),
        first_unreadable=f'{errors[0].path} ({errors[0].reason})' if errors else '',
        readable_ids=tuple(sorted(sizes)),
        left_out=getattr(source, 'left_out', ''))
