"""Super-classes: a coarser labelling of the same images, against which clusters may be measured."""

import os.path as osp
from collections.abc import Sequence

import numpy as np

from clim_mm.causes import machine_error
from clim_mm.errors import DataError, printable, some_of


def read_superclasses(path: str, classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the super-class of each class from a text file with a line ``CLASS<TAB>SUPERCLASS`` each.

    Args:
        classes: Names by label; the file may have more.

    Returns:
        (C,) int64, the super-class of each class, and the names of the super-classes of these classes, sorted.
    """
    try:
        with open(path, encoding='utf-8') as file:
            lines = [line.rstrip('\r\n') for line in file]
    except (OSError, ValueError) as error:
        why = 'there is no such file' if not osp.exists(path) else str(error)
        raise machine_error(error) or DataError(
            f'The super-classes {path} cannot be read ({why}): set `superclasses` to a text file with a class, a tab '
            'and its super-class in each line, or take it out of the config.') from error
    of: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split('\t')]
        if len(parts) != 2 or not all(parts) or of.setdefault(*parts) != parts[1]:
            raise DataError(f'Line {number} of {path} ({printable(line)[:80]}) is not a class, a tab and its only '
                            'super-class: correct it.')
    if missing := [name for name in classes if name not in of]:
        raise DataError(f'{path} has no super-class of {len(missing)} of the {len(classes)} classes '
                        f'({some_of(missing, 3)}): add their lines, or give the file of these images.')
    names = sorted({of[name] for name in classes})
    return np.array([names.index(of[name]) for name in classes], dtype=np.int64), tuple(names)
