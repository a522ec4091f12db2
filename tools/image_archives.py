"""What the preparations of published archives share: the archive's sum, and folders of PNGs that appear as a whole."""

import argparse
import gzip
import hashlib
import io
import os
import os.path as osp
import pickle
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from PIL import Image

from clim_mm.errors import DataError
from clim_mm.launch.commands import errors_in_a_sentence

Kind = TypeVar('Kind')


def kind_of(archive: str, sums: Mapping[str, Kind], official: str) -> Kind:
    """Which of several an archive is, by its MD5 sum; ``official`` says which are meant, and where they come from."""
    if not osp.isfile(archive):
        raise DataError(f'There is no file {archive}: give {official}.')
    with open(archive, 'rb') as file:
        found = hashlib.md5(usedforsecurity=False)
        while block := file.read(1 << 20):
            found.update(block)
    if found.hexdigest() not in sums:
        raise DataError(f'{archive} was cut or is another file (its MD5 sum is {found.hexdigest()}): fetch {official} '
                        'again.')
    return sums[found.hexdigest()]


@contextmanager
def opened(archive: str, name: str) -> Iterator[tarfile.TarFile]:
    """Read an archive, of which nothing is unpacked to disk; whatever is wrong with it is a DataError."""
    try:
        with tarfile.open(archive) as tar:
            yield tar
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, KeyError, TypeError, ValueError, IndexError,
            pickle.UnpicklingError) as error:
        raise DataError(f'{archive} cannot be read as {name} ({error}): fetch it again from the official page.'
                        ) from error


def member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of an archive; a KeyError if there is none."""
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


@contextmanager
def whole_folder(out: str) -> Iterator[Path]:
    """A folder to fill, which becomes ``out`` at the end, or leaves nothing."""
    parent = Path(osp.abspath(out)).parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as unfinished:
        folder = Path(unfinished, 'images')
        folder.mkdir()
        yield folder
        shutil.move(str(folder), out)


def save_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB, with the folders above it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())  # Pillow's own writing does not tell of a full disk


def link(path: Path, second: Path) -> None:
    """A second name for a file, or a copy of it where there are no hard links."""
    second.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, second)
    except OSError:
        shutil.copyfile(path, second)


def command(write: Callable[[str, str, bool], bool], does: str, archive: str, out: str) -> None:
    """The command of a preparation: ``write`` takes the archive, the folder and whether to add the whole.

    Args:
        does: What it does, a sentence.
        archive, out: The archive's name and a folder, for the help.
    """
    parser = argparse.ArgumentParser(description=does)
    parser.add_argument('archive', help=archive)
    parser.add_argument('out', help=f'such as {out}')
    parser.add_argument('--whole', action='store_true', help='also write train and test together, as OUT/whole')
    args = parser.parse_args()
    with errors_in_a_sentence():
        written = write(args.archive, args.out, args.whole)
        print(f'{args.out} is written.' if written else f'{args.out} is there already and was left as it is: delete '
              'it to have it written again.')
