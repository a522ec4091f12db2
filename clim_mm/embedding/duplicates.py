"""Near-duplicates among embedded images: groups, and a table of them."""

import csv
import io
import os
import os.path as osp
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from clim_mm.checks import check_number

from .embeddings import Embeddings
from .files import text_of

THRESHOLD = 0.98  # of the cosine [ours]


class Duplicate(NamedTuple):
    """An image of a group: its row in the embeddings, its cosine to the nearest other of the group, its file's size."""

    row: int
    cosine: float
    num_bytes: int


def duplicate_groups(found: Embeddings, threshold: float = THRESHOLD) -> list[list[Duplicate]]:
    """Groups of images that are linked by pairs of at least this cosine; the largest groups first.

    Pairs are looked for among each image's nearest neighbours: of very many copies of one image each is linked to as
    many as there are neighbours, which links all of them.

    Args:
        threshold: From 0 to 1.

    Returns:
        In each group the largest file comes first, which one would keep.
    """
    check_number('threshold', threshold, above=0, most=1)
    cosines = 1 - found.distances
    near = cosines >= threshold  # False of NaN
    rows, places = np.nonzero(near)
    links = coo_array((np.ones(len(rows), dtype=np.int8), (rows, found.neighbors[rows, places])),
                      shape=(len(found.paths), ) * 2)
    number, group_of = connected_components(links, directed=False)
    sizes = np.bincount(group_of, minlength=number)
    grouped = np.flatnonzero(sizes[group_of] > 1)
    best = np.full(len(found.paths), -1.0)
    np.maximum.at(best, rows, cosines[rows, places])
    np.maximum.at(best, found.neighbors[rows, places], cosines[rows, places])
    groups: dict[int, list[Duplicate]] = {}
    for row in grouped.tolist():
        size = _size(osp.join(found.folder, found.paths[row]))
        groups.setdefault(int(group_of[row]), []).append(Duplicate(row, float(best[row]), size))
    ordered = [sorted(group, key=lambda one: (-one.num_bytes, one.row)) for group in groups.values()]
    return sorted(ordered, key=lambda group: (-len(group), group[0].row))


def groups_csv(found: Embeddings, groups: list[list[Duplicate]]) -> str:
    """A line for each image of a group: number of the group, whether to keep it, path, cosine, bytes."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['group', 'keep', 'path', 'cosine', 'bytes'])
    for number, group in enumerate(groups, start=1):
        for place, one in enumerate(group):
            path = text_of(found.paths[one.row])
            writer.writerow([number, int(place == 0), path, f'{one.cosine:.4f}', one.num_bytes])
    return file.getvalue()


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # gone meanwhile, or not local
        return 0
