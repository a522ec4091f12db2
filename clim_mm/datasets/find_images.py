"""Find the images below a folder, by one rule for all datasets; storage backends, and warnings given once."""

import logging
import os
import os.path as osp
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Optional

from mmengine import dist
from mmengine.fileio import BaseStorageBackend, get_file_backend
from mmengine.fileio.backends import LocalBackend
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from clim_mm.causes import machine_error
from clim_mm.errors import ConfigError, DataError, on_one_line, printable, some_of
from clim_mm.storage import is_transient

# What the decoder reads; in capitals, too. HEIC, JPEG XL and raw files of cameras it does not.
IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.avif', '.gif', '.bmp', '.dib', '.tif', '.tiff',
                    '.jp2', '.ppm', '.pgm', '.pbm', '.pnm')
# What systems and programs put among a user's folders, beside all that begins with a dot.
_SYSTEM_FOLDERS = ('__macosx', '__pycache__', 'lost+found', '@eadir', '#recycle', '@recycle', '#snapshot',
                   '$recycle.bin', 'recycler', 'system volume information')
_warned: set[str] = set()


class FoundImages(NamedTuple):
    """Paths below a folder, names of the folders right in it, both sorted, and what was left out, in words, or ''."""

    images: Sequence[str]
    folders: Sequence[str]
    left_out: str


def find_images(folder: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> FoundImages:
    """Find the images at any depth.

    Left out, and told, are files with other endings, hidden and system files and folders, and links to what is found
    anyway. Links to folders that they are in raise DataError.
    """
    endings, backend = tuple(extensions), backend_of(folder)
    if isinstance(backend, LocalBackend):
        images, folders, left_out = _walk(folder.rstrip('/') or folder, endings)
    else:
        files = list(backend.list_dir_or_file(folder, list_dir=False, list_file=True, recursive=True))
        images = [path for path in files
                  if path.lower().endswith(endings) and not any(map(_is_hidden, path.split('/')))]
        folders = {path.partition('/')[0] for path in images if '/' in path}
        left_out = [*set(files).difference(images)]
    examples = some_of([printable(path) for path in sorted(left_out)[:4]], 3)
    said = f'{len(left_out)} other, hidden or repeated files and folders ({examples})' if left_out else ''
    return FoundImages(sorted(images), sorted(folders), said)


def _walk(root: str, endings: tuple[str, ...]) -> tuple[list[str], set[str], list[str]]:
    """Images, names of the folders right in the root, and what was left out."""
    images: list[str] = []
    left_out: list[str] = []
    real_folders: dict[str, str] = {}  # paths below the root by real paths
    links: dict[str, str] = {}  # real paths of images by their paths below the root
    within, behind_links = deque(['']), deque[str]()  # each folder is gone through once, those behind links last
    while within or behind_links:
        below = (within or behind_links).popleft()
        real = osp.realpath(osp.join(root, below))
        if real_folders.setdefault(real, below) != below:
            left_out.append(below)
            continue
        with os.scandir(osp.join(root, below)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):  # everywhere in one order
                path, is_link = osp.join(below, entry.name), entry.is_symlink()
                is_folder = osp.isdir(entry.path) if is_link else entry.is_dir()
                if _is_hidden(entry.name) or not is_folder and not entry.name.lower().endswith(endings):
                    left_out.append(path)
                elif not is_folder and is_link:
                    links[path] = osp.realpath(entry.path)
                elif not is_folder:
                    images.append(path)
                elif is_link and osp.join(real, '').startswith(osp.join(target := osp.realpath(entry.path), '')):
                    raise DataError(f'{entry.path} is a link to {target}, which it is in, so that images would be '
                                    'listed again and again: take the link out of the data folder.')
                else:
                    (behind_links if is_link else within).append(path)
    if links:
        real_of = {below: real for real, below in real_folders.items()}
        taken = {osp.join(real_of[osp.dirname(path)], osp.basename(path)) for path in images}
        for path, real in sorted(links.items()):
            (left_out if real in taken else images).append(path)
            taken.add(real)
    return images, {below for below in real_folders.values() if below and os.sep not in below}, left_out


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name.lower() in _SYSTEM_FOLDERS


def backend_of(path: str, backend_args: Optional[dict] = None) -> BaseStorageBackend:
    """The backend that reads a file or folder, one a process and setting, as MMEngine chooses it."""
    try:
        return get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    except Exception as error:  # a backend is anyone's code
        if is_transient(error):
            raise
        raise machine_error(error) or ConfigError(
            f'The storage of {printable(path)} cannot be used with backend_args={backend_args} '
            f'({type(error).__name__}: {on_one_line(error)}): correct backend_args of LoadImage, or what stands before '
            ':// in the path.') from error


def warn_once(topic: str, sentence: str) -> None:
    """Log a warning the first time about its topic, in the first process and its first worker alone."""
    worker = get_worker_info()
    if topic not in _warned and dist.is_main_process() and (worker is None or worker.id == 0):
        _warned.add(topic)
        print_log(sentence, logger='current', level=logging.WARNING)
