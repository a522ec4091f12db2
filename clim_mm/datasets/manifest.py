"""Which files a training set is made of: a sample id means the same file on resume, or the run stops."""

import hashlib
import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain

from mmengine.dataset import BaseDataset

from clim_mm.errors import StorageError, printable, some_of
from clim_mm.progress import progress_bar
from clim_mm.storage import patiently

_BLOCK, _THREADS = 1000, 16


@dataclass(frozen=True)
class Manifest:
    """By sample id a line of size in bytes (-1 for a file that is missing or not local), tab, path below data_root."""

    lines: Sequence[str]

    @classmethod
    def of(cls, dataset: BaseDataset, progress: bool = False) -> 'Manifest':
        """Ask the file system for the size of every image of an MMEngine-style dataset."""
        root = os.path.join(getattr(dataset, 'data_root', None) or '', '')
        paths = [str(dataset.get_data_info(i).get('img_path', i)) for i in range(len(dataset))]
        blocks = [paths[start:start + _BLOCK] for start in range(0, len(paths), _BLOCK)]
        with ThreadPoolExecutor(_THREADS) as pool:  # a network file system answers many at once
            answers = pool.map(lambda block: [*map(_size, block)], blocks)
            sizes = list(progress_bar(answers, total=len(blocks), desc='manifest', unit='block', show=progress))
        return cls([f'{size}\t{printable(path.removeprefix(root))}'
                    for path, size in zip(paths, chain.from_iterable(sizes), strict=True)])

    def without_sizes_of(self, ids: Collection[int]) -> 'Manifest':
        """The same with '?' for the sizes of some images, so that to mend a broken one changes nothing."""
        lines = list(self.lines)
        for i in ids:
            if i < len(lines):
                lines[i] = '?' + lines[i][lines[i].index('\t'):]
        return Manifest(lines)

    @property
    def digest(self) -> str:
        """SHA-256 of all lines, hexadecimal."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def text(self) -> str:
        """All lines, each with its end."""
        return ''.join(f'{line}\n' for line in self.lines)


def difference(before: Manifest, now: Manifest) -> str:
    """What has changed between two manifests, in a few words; empty if nothing has."""
    sizes_before, sizes_now = ({path: size for size, path in (line.split('\t', 1) for line in manifest.lines)}
                               for manifest in (before, now))
    removed = [path for path in sizes_before if path not in sizes_now]
    added = [path for path in sizes_now if path not in sizes_before]
    resized = [path for path, size in sizes_now.items() if sizes_before.get(path, size) != size]
    parts = [f'{len(paths)} {what} ({some_of(paths, 3)})'
             for what, paths in [('removed', removed), ('added', added), ('of another size', resized)] if paths]
    is_reordered = not parts and list(before.lines) != list(now.lines)
    return 'the same images in another order, or listed more or less often' if is_reordered else ', '.join(parts)


def _size(path: str) -> int:
    try:
        return patiently(partial(os.stat, path), path).st_size
    except StorageError:
        raise
    except OSError:
        return -1
