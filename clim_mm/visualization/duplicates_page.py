"""A self-contained HTML page of near-duplicates: groups of images, what one would keep first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from .page import LOAD, MOST_BYTES, SIDE, filled_page, image_entries, number

GROUPS, MEMBERS = 300, 12  # on a page, and of a group [ours]


def duplicates_page(source: BaseDataset, groups: Sequence[Sequence[tuple[int, float, int]]], num_images: int,
                    threshold: float, title: str, thumbnail: int = SIDE, max_bytes: int = MOST_BYTES,
                    load: Sequence = LOAD) -> str:
    """Return the page as HTML. Of more than ``GROUPS`` groups the first are shown.

    Args:
        groups: Of images: id in the source, cosine to the nearest other of the group, bytes of the file.
        num_images: That were compared.
        threshold: The least cosine of a pair.
        thumbnail, max_bytes, load: As for :func:`clim_mm.visualization.page.filled_page`.
    """
    rows: list[dict[str, Any]] = [
        dict(id=place, size=len(group), images=[[image_id, number(cosine), num_bytes]
                                                for image_id, cosine, num_bytes in group[:MEMBERS]])
        for place, group in enumerate(groups[:GROUPS], start=1)]
    ids = sorted({entry[0] for row in rows for entry in row['images']})
    facts = dict(title=title, note='' if groups else 'No two images are that much alike.', images=num_images,
                 threshold=threshold, groups=len(groups), grouped=sum(map(len, groups)))
    none = np.full(len(source), -1)
    data = dict(facts=facts, labels=[], groups=rows, images=image_entries(source, ids, [None] * len(ids), none))
    return filled_page('duplicates_page.html', data, source, thumbnail, max_bytes, load)
