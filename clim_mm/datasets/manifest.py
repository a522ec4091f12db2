"""Which files a training set is made of: a sample id means the same file on resume, or the run stops."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.dataset import BaseDataset

from clim_mm.errors import printable, some_of
from clim_mm.progress import progress_bar


@dataclass(frozen=True)
class Manifest:
    """Path and size of each image.

    Attributes:
        lines: N times size in bytes (-1 for a file that is not there, or is no local file), a tab, and the path
            below the data root, in the order of the sample ids.
    """

    lines: Sequence[str]

    @classmethod
    def of(cls, dataset: BaseDataset, progress: bool = False) -> 'Manifest':
        """Ask the file system for the size of every image of an MMEngine-style dataset."""
        root = os.path.join(getattr(dataset, 'data_root', None) or '', '')
        ids = progress_bar(range(len(dataset)), desc='manifest', unit='image', show=progress)
        paths = (str(dataset.get_data_info(i).get('img_path', i)) for i in ids)
        return cls([f'{_size(path)}\t{printable(path.removeprefix(root))}' for path in paths])

    @property
    def digest(self) -> str:
        """SHA-256 of all lines, hexadecimal."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def sizes(self) -> dict[str, str]:
        """Size by path."""
        return {path: size for size, path in (line.split('\t', 1) for line in self.lines)}

    def text(self) -> str:
        """All lines, each with its end."""
        return ''.join(f'{line}\n' for line in self.lines)


def difference(before: Manifest, now: Manifest) -> str:
    """What has changed between two manifests, in a few words; empty if nothing has."""
    sizes_before, sizes_now = before.sizes(), now.sizes()
    removed = [path for path in sizes_before if path not in sizes_now]
    added = [path for path in sizes_now if path not in sizes_before]
    resized = [path for path, size in sizes_now.items() if sizes_before.get(path, size) != size]
    parts = [f'{len(paths)} {what} ({some_of(paths, 3)})'
             for what, paths in [('removed', removed), ('added', added), ('of another size', resized)] if paths]
    if parts or list(before.lines) == list(now.lines):
        return ', '.join(parts)
    in_another_order = sorted(before.lines) == sorted(now.lines)
    return 'the same images in another order' if in_another_order else 'some images are listed more or less often'


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
