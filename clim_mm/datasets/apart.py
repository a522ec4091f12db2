"""Whether no held-out image is trained on, by links, copies or the same list."""

import os
import os.path as osp
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Optional

import numpy as np

from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.errors import ConfigError, some_of

_LOOKED_INTO = 100  # held-out images that are searched for copies [ours]
_COPIES = 0.05  # of them: more are no accident [ours]
_MOST_ASKED, _MOST_READ = 100_000, 10_000  # training images, for their size and for their content [ours]


def check_apart(train: Sequence[str], held_out: Sequence[str], setting: str) -> None:
    """Check that no image is in both, by whatever links, and that held-out images are no copies.

    Args:
        train, held_out: Paths of the images.
        setting: That names the held-out images.

    Raises:
        ConfigError: If some are.
    """
    there = set(_resolved(train))
    both = [path for path, real in zip(held_out, _resolved(held_out), strict=True) if real in there]
    if both:
        raise ConfigError(f'{len(both)} of the {len(held_out)} held-out images are training images ({some_of(both, 3)}'
                          f'), so that the figures would say nothing: set {setting} to images that are not trained on.')
    looked_into = sorted({held_out[i] for i in np.linspace(0, len(held_out) - 1, _LOOKED_INTO).astype(int)}
                         if held_out else ())
    copies = _copies(looked_into, train)
    if len(copies) > _COPIES * len(looked_into):
        raise ConfigError(f'{len(copies)} of {len(looked_into)} held-out images that were looked into are copies of '
                          f'training images ({some_of(copies, 3)}), so that the figures would say nothing: set '
                          f'{setting} to images that are not trained on.')


def _resolved(paths: Iterable[str]) -> Iterator[str]:
    """Where they lead. The file system is asked about folders and links, and not about each of a million files."""
    folders: dict[str, tuple[str, set[str]]] = {}
    for path in paths:
        folder, name = osp.split(path)
        if folder not in folders:
            is_here = '://' not in folder and osp.isdir(folder or '.')
            folders[folder] = (osp.realpath(folder), _links(folder or '.')) if is_here else (folder, set())
        real, links = folders[folder]
        yield osp.realpath(path) if name in links else osp.join(real, name)


def _links(folder: str) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_symlink()}


def _copies(held_out: Sequence[str], train: Sequence[str]) -> list[str]:
    """Those whose content a training image has, too; in a large set only one of the same name, in a folder alike."""
    held_out = [path for path in held_out if _size(path)]
    names = set(map(_class_and_name, held_out))
    if len(train) > _MOST_ASKED:
        train = [path for path in train if _class_and_name(path) in names]
    sizes = set(map(_size, held_out))
    alike = [path for path in train if _size(path) in sizes]
    if len(alike) > _MOST_READ:  # of files without compression the size tells nothing
        alike = [path for path in alike if _class_and_name(path) in names]
    contents = set(map(file_sha256, alike))
    return sorted(path for path in held_out if file_sha256(path) in contents) if contents else []


def _size(path: str) -> Optional[int]:
    """Bytes of a local file; None of any other, and of an empty one."""
    with suppress(OSError):
        status = os.stat(path)
        return status.st_size if stat.S_ISREG(status.st_mode) and status.st_size else None
    return None


def _class_and_name(path: str) -> tuple[str, str]:
    folder, name = osp.split(path)
    return osp.basename(folder), name
