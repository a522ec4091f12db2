"""What is in a folder of images: how many, how large, of which formats, grey or colour, unreadable, exact copies."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

import numpy as np
from PIL import Image

from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.datasets import ImageFolder
from clim_mm.datasets.source import build_source
from clim_mm.errors import DataError, printable, some_of
from clim_mm.progress import progress_bar

FEWEST_IMAGES = 16  # different ones, from which anything can be learned [ours]
_THREADS = 8
_GREY = {'1', 'L', 'LA', 'La', 'I', 'I;16', 'I;16B', 'F'}  # Pillow's modes


@dataclass(frozen=True)
class FolderSurvey:
    """What was found below a folder.

    Attributes:
        folder: Its path.
        num_images: Files that are images by their names.
        sides: (n, 2) int, height and width in pixels of those whose header can be read.
        formats: Number of images by Pillow's name of the format.
        num_grey: Images without colours.
        unreadable: Paths below the folder of those whose header cannot be read.
        copies: Groups of paths below the folder, of files with the same content.
        left_out: Files that are no images, in words; '' for none.
    """

    folder: str
    num_images: int
    sides: np.ndarray
    formats: dict[str, int]
    num_grey: int
    unreadable: tuple[str, ...]
    copies: tuple[tuple[str, ...], ...]
    left_out: str

    @property
    def short_side(self) -> int:
        """Median of the shorter sides, in pixels."""
        return int(np.median(self.sides.min(axis=1)))

    @property
    def num_copies(self) -> int:
        """Files that could go without a picture being lost."""
        return sum(len(group) - 1 for group in self.copies)

    @property
    def num_readable(self) -> int:
        """Images that there are to train on."""
        return self.num_images - len(self.unreadable)

    def check_enough(self) -> None:
        """Raise DataError if there are too few different images."""
        different = self.num_readable - self.num_copies
        if different < FEWEST_IMAGES:
            raise DataError(f'{printable(self.folder)} has {different} different images that can be read, from which '
                            f'nothing can be learned: give {FEWEST_IMAGES} at least, some thousands if there are.')

    def lines(self) -> list[str]:
        """What a user should know, a line each."""
        formats = ', '.join(f'{number:,} {name}' for name, number in
                            sorted(self.formats.items(), key=lambda item: -item[1]))
        low, middle, high = np.percentile(self.sides.min(axis=1), [0, 50, 100]).astype(int).tolist()
        grey = f', {self.num_grey:,} of them grey' if self.num_grey else ''
        said = [f'{self.num_images:,} images in {printable(self.folder)} ({formats}{grey})',
                f'shorter sides from {low} to {high} pixels, half of them up to {middle}']
        if self.unreadable:
            said.append(f'{len(self.unreadable):,} cannot be read, and are passed over ('
                        f'{some_of([*map(printable, self.unreadable)], 3)})')
        if self.copies:
            said.append(f'{self.num_copies:,} files are exact copies of others ('
                        f'{some_of([" = ".join(map(printable, group[:2])) for group in self.copies], 2)})')
        if self.left_out:
            said.append(f'left out: {self.left_out}')
        return said


def survey_folder(folder: str, progress: bool = True) -> FolderSurvey:
    """Read the header of every image below a folder, and the content of those that have a size in common.

    Raises:
        DataError: If there is no folder, no image in it, or none whose header can be read.
    """
    dataset: ImageFolder = build_source(dict(type='clim_mm.ImageFolder', data_root=folder), 'FOLDER')
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    with ThreadPoolExecutor(_THREADS) as pool:
        headers = list(progress_bar(pool.map(_header, paths), total=len(paths), desc='look', unit='image',
                                    show=progress))
    root = os.path.join(dataset.data_root, '')
    known = [header for header in headers if header is not None]
    if not known:
        raise DataError(f'None of the {len(paths)} images in {printable(folder)} can be read: give another folder.')
    return FolderSurvey(
        folder, len(paths), np.array([sides for sides, _, _ in known]),
        dict(Counter(name for _, name, _ in known)), sum(is_grey for _, _, is_grey in known),
        tuple(path.removeprefix(root) for path, header in zip(paths, headers, strict=True) if header is None),
        tuple(tuple(path.removeprefix(root) for path in group) for group in copies_among(paths)), dataset.left_out)


def copies_among(paths: Sequence[str]) -> list[list[str]]:
    """Groups of files with the same content, in the order of the paths. Files of a size of their own are not read."""
    by_size = defaultdict(list)
    for path in paths:
        with suppress(OSError):
            by_size[os.path.getsize(path)].append(path)
    alike = [path for group in by_size.values() if len(group) > 1 for path in group]
    by_content = defaultdict(list)
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, digest in zip(alike, pool.map(_digest, alike), strict=True):
            if digest is not None:
                by_content[digest].append(path)
    return sorted(group for group in by_content.values() if len(group) > 1)


def _header(path: str) -> Optional[tuple[tuple[int, int], str, bool]]:
    """Height and width, format, and whether it is grey; None if it is no image."""
    try:
        with Image.open(path) as image:
            return (image.height, image.width), str(image.format), image.mode in _GREY
    except Exception:  # whatever Pillow's many readers raise
        return None


def _digest(path: str) -> Optional[str]:
    try:
        return file_sha256(path) if os.path.getsize(path) else None  # empty files are unreadable, not copies
    except OSError:
        return None
