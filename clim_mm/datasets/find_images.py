"""Which files below a folder are images, by one rule for all datasets, and what is left out."""

import os
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.fileio.backends import LocalBackend

from clim_mm.errors import DataError, printable, some_of

from .image_storage import backend_of

# What the decoder reads; in capitals, too. HEIC, JPEG XL and raw files of cameras it does not.
IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.avif', '.gif', '.bmp', '.dib', '.tif', '.tiff',
                    '.jp2', '.ppm', '.pgm', '.pbm', '.pnm')
# What systems and programs put among a user's folders; all that begin with a dot come to it.
_SYSTEM_FOLDERS = ('__macosx', '__pycache__', 'lost+found', '@eadir', '#recycle', '@recycle', '#snapshot',
                   '$recycle.bin', 'recycler', 'system volume information')


@dataclass(frozen=True)
class FoundImages:
    """What is below a folder.

    Attributes:
        images: Paths below the folder, sorted.
        folders: Names of the folders right in it, sorted.
        left_out: What was passed over, in words; empty if nothing was.
    """

    images: Sequence[str]
    folders: Sequence[str]
    left_out: str


def find_images(folder: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> FoundImages:
    """Find the images at any depth, each file once.

    Left out, and told, are files with other endings, hidden and system files and folders, and what is found already:
    second links to a file or folder, or a link beside it.

    Raises:
        DataError: If images are links to nowhere or no files, or a link leads back to a folder that it is in.
    """
    search = _Search(folder.rstrip('/') or folder, tuple(extensions))
    backend = backend_of(folder)
    if isinstance(backend, LocalBackend):
        search.walk()
    else:
        for path in backend.list_dir_or_file(folder, list_dir=False, list_file=True, recursive=True):
            search.take_remote(path)
    return search.found()


class _Search:

    def __init__(self, root: str, extensions: tuple[str, ...]) -> None:
        self._root = root
        self._extensions = extensions
        self._images: list[str] = []
        self._inodes = array('Q')  # of the images, in their order
        self._links: set[str] = set()  # images that are links
        self._folders: set[str] = set()
        self._endings: Counter[str] = Counter()
        self._hidden = 0
        self._system: set[str] = set()
        self._again: list[str] = []
        self._odd: list[str] = []

    def walk(self) -> None:
        """Go through each folder once, through those behind links last."""
        seen: set[tuple[int, int]] = set()
        folders: deque[tuple[str, dict]] = deque([('', {})])
        links: deque[tuple[str, dict]] = deque()
        while folders or links:
            below, above = (folders or links).popleft()
            path = os.path.join(self._root, below) if below else self._root
            identity = _identity(path)
            if identity in above:
                raise DataError(f'{path} is a link to {above[identity]}, which it is in, so that images would be '
                                'listed again and again: take the link out of the data folder.')
            if identity in seen:
                self._again.append(below)
                continue
            seen.add(identity)
            if below and os.sep not in below:
                self._folders.add(below)
            down_to_here = {**above, identity: path}
            for name, is_link in sorted(self._scan(path, below)):  # everywhere in one order
                (links if is_link else folders).append((os.path.join(below, name), down_to_here))

    def _scan(self, path: str, below: str) -> Iterator[tuple[str, bool]]:
        """Take the images of one folder; name its folders, and whether they are links."""
        with os.scandir(path) as entries:
            for entry in entries:  # the file system is asked about links alone
                is_link = entry.is_symlink()
                is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()
                if self._leaves_out(entry.name, is_folder):
                    continue
                if is_folder:
                    yield entry.name, is_link
                elif not (os.path.isfile(entry.path) if is_link else entry.is_file()):
                    self._odd.append(entry.path)
                else:
                    self._images.append(os.path.join(below, entry.name))
                    self._inodes.append(os.stat(entry.path).st_ino if is_link else entry.inode())
                    if is_link:
                        self._links.add(self._images[-1])

    def take_remote(self, path: str) -> None:
        """Take a file of a storage that has no links."""
        *folders, name = path.split('/')
        if not any([self._leaves_out(folder, is_folder=True) for folder in folders] +
                   [self._leaves_out(name, is_folder=False)]):
            self._folders.update(folders[:1])
            self._inodes.append(len(self._images))
            self._images.append(path)

    def _leaves_out(self, name: str, is_folder: bool) -> bool:
        lower = name.lower()
        if is_folder:
            if is_system := lower.startswith('.') or lower in _SYSTEM_FOLDERS:
                self._system.add(name)
            return is_system
        if lower.startswith('.'):
            self._hidden += 1
        elif lower.endswith(self._extensions):
            return False
        else:
            self._endings[os.path.splitext(lower)[1] or 'without an ending'] += 1
        return True

    def found(self) -> FoundImages:
        """What was found, each file once."""
        if self._odd:
            raise DataError(f'{len(self._odd)} image(s) below {self._root} are links that lead nowhere, or no files at '
                            f'all ({some_of(sorted(self._odd), 3)}): mend them, or take them out of the data folder.')
        again = self._files_again()
        self._again += again
        return FoundImages(sorted(set(self._images).difference(again)), sorted(self._folders), self._left_out())

    def _files_again(self) -> list[str]:
        """Images that are one file with another; if one of them is no link, it is not among them."""
        inodes = np.asarray(self._inodes)
        values, counts = np.unique(inodes, return_counts=True)
        suspects = np.flatnonzero(np.isin(inodes, values[counts > 1]))  # only these are asked for
        paths = sorted((self._images[i] for i in suspects), key=lambda path: (path in self._links, path))
        first: dict[tuple[int, int], str] = {}
        return [path for path in paths if first.setdefault(_identity(os.path.join(self._root, path)), path) != path]

    def _left_out(self) -> str:
        endings = [f'{number} {printable(ending)}' for ending, number in self._endings.most_common()]
        again = [printable(path) for path in sorted(self._again)]
        parts = [f'{_counted(self._endings.total(), "file")} ({some_of(endings, 5)})' if endings else '',
                 _counted(self._hidden, 'hidden file') if self._hidden else '',
                 f'folders of the system ({some_of(sorted(self._system), 5)})' if self._system else '',
                 f'{_counted(len(again), "further name")} of what is listed already ({some_of(again, 3)})'
                 if again else '']
        return ', '.join(filter(None, parts))


def _identity(path: str) -> tuple[int, int]:
    """By which a file or folder is known, whatever links lead to it."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _counted(number: int, word: str) -> str:
    return f'{number} {word}{"" if number == 1 else "s"}'
