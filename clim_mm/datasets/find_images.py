"""Which files below a folder are images, by one rule for all datasets, and what is left out."""

import os
import os.path as osp
from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.fileio.backends import LocalBackend

from clim_mm.errors import DataError, printable, some_of

from .image_storage import backend_of

# What the decoder reads; in capitals, too. HEIC, JPEG XL and raw files of cameras it does not.
IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.avif', '.gif', '.bmp', '.dib', '.tif', '.tiff',
                    '.jp2', '.ppm', '.pgm', '.pbm', '.pnm')
# What systems and programs put among a user's folders; all that begin with a dot come to it.
_SYSTEM_FOLDERS = ('__macosx', '__pycache__', 'lost+found', '@eadir', '#recycle', '@recycle', '#snapshot',
                   '$recycle.bin', 'recycler', 'system volume information')


class FoundImages(NamedTuple):
    """Paths below a folder, names of the folders right in it, both sorted, and what was left out, in words, or ''."""

    images: Sequence[str]
    folders: Sequence[str]
    left_out: str


def find_images(folder: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> FoundImages:
    """Find the images at any depth.

    Left out, and told, are files with other endings, hidden and system files and folders, and links to what is found
    anyway. Images that are links to nowhere or no files, and links to folders that they are in, raise DataError.
    """
    endings, backend = tuple(extensions), backend_of(folder)
    if isinstance(backend, LocalBackend):
        files, folders, system, again = _walk(folder.rstrip('/') or folder, endings)
    else:
        files, system, again = [], set(), []
        for path in backend.list_dir_or_file(folder, list_dir=False, list_file=True, recursive=True):
            above = path.split('/')[:-1]
            system.update(of_system := set(filter(_is_of_system, above)))
            files += [] if of_system else [path]
        folders = {path.split('/')[0] for path in files if '/' in path and path.lower().endswith(endings)}
    visible = [path for path in files if not osp.basename(path).startswith('.')]
    images = sorted(path for path in visible if path.lower().endswith(endings))
    others = Counter(osp.splitext(path.lower())[1] or 'without an ending' for path in visible
                     if not path.lower().endswith(endings))
    by_number = sorted(others.items(), key=lambda kind: (-kind[1], kind[0]))
    kinds = [f'{number} {printable(ending)}' for ending, number in by_number]
    links = [printable(path) for path in sorted(again)]
    parts = [f'{_counted(others.total(), "file")} ({some_of(kinds, 5)})' if kinds else '',
             _counted(len(files) - len(visible), 'hidden file') if len(visible) < len(files) else '',
             f'folders of the system ({some_of(sorted(system), 5)})' if system else '',
             f'{_counted(len(links), "further name")} of what is listed already ({some_of(links, 3)})' if links else '']
    return FoundImages(images, sorted(folders), ', '.join(filter(None, parts)))


def _walk(root: str, endings: tuple[str, ...]) -> tuple[list[str], set[str], set[str], list[str]]:
    """Files, names of the folders right in the root, system folders, and links to what is among the files anyway."""
    files: list[str] = []
    folders, system = set[str](), set[str]()
    again, odd = list[str](), list[str]()
    real_folders: dict[str, str] = {}  # paths below the root by real paths
    links: dict[str, str] = {}  # real paths of images by their paths below the root
    within, behind_links = deque(['']), deque[str]()  # each folder is gone through once, those behind links last
    while within or behind_links:
        below = (within or behind_links).popleft()
        real = osp.realpath(osp.join(root, below))
        if real_folders.setdefault(real, below) != below:
            again.append(below)
            continue
        if below and os.sep not in below:
            folders.add(below)
        with os.scandir(osp.join(root, below)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):  # everywhere in one order
                path, is_link = osp.join(below, entry.name), entry.is_symlink()
                if osp.isdir(entry.path) if is_link else entry.is_dir():
                    if _is_of_system(entry.name):
                        system.add(entry.name)
                        continue
                    if is_link and osp.join(real, '').startswith(osp.join(target := osp.realpath(entry.path), '')):
                        raise DataError(f'{entry.path} is a link to {target}, which it is in, so that images would be '
                                        'listed again and again: take the link out of the data folder.')
                    (behind_links if is_link else within).append(path)
                elif entry.name.startswith('.') or not entry.name.lower().endswith(endings):
                    files.append(path)
                elif not (osp.isfile(entry.path) if is_link else entry.is_file()):
                    odd.append(entry.path)
                elif is_link:
                    links[path] = osp.realpath(entry.path)
                else:
                    files.append(path)
    if odd:
        raise DataError(f'{len(odd)} image(s) below {root} are links that lead nowhere, or no files at all '
                        f'({some_of(sorted(odd), 3)}): mend them, or take them out of the data folder.')
    if links:
        real_of = {below: real for real, below in real_folders.items()}
        taken = {osp.join(real_of[osp.dirname(path)], osp.basename(path)) for path in files}
        for path, real in sorted(links.items()):
            (again if real in taken else files).append(path)
            taken.add(real)
    return files, folders, system, again


def _is_of_system(folder: str) -> bool:
    return folder.startswith('.') or folder.lower() in _SYSTEM_FOLDERS


def _counted(number: int, word: str) -> str:
    return f'{number} {word}{"" if number == 1 else "s"}'
