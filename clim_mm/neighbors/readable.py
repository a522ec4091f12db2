"""A refresh where some images cannot be read."""

from dataclasses import replace
from typing import Any, Optional

import numpy as np

from .balance import positives_changed
from .refresh import Refresh, refresh
from .sizes import NeighborSizes


def refresh_readable(features: np.ndarray,
                     readable: np.ndarray,
                     sizes: NeighborSizes,
                     labels: Optional[np.ndarray] = None,
                     previous: Optional[np.ndarray] = None,
                     **options: Any) -> Refresh:
    """``refresh`` of the images that can be read. The others get no positives, and are nobody's.

    Args:
        features: (N, d) float32, L2-normalised; the rows of the others are not looked at.
        readable: (n,) int64 ids, ascending.
        sizes, labels, previous: As in ``refresh``, of all N images.
        **options: The other arguments of ``refresh``.

    Returns:
        As ``refresh``, of all N images; the others have no cluster and no neighbours. The report is on the readable
        images.
    """
    if len(readable) == len(features):
        return refresh(features, sizes, labels=labels, previous=previous, **options)
    most = NeighborSizes(min(sizes.num_clusters, len(readable)), max(1, min(sizes.num_neighbors, len(readable) - 1)))
    found = refresh(features[readable], most, labels=None if labels is None else labels[readable], **options)
    assignments = np.full(len(features), -1, dtype=np.int64)
    assignments[readable] = found.assignments
    positives = ids_of_all(found.positives, readable, len(features))
    report = dict(found.report)
    if previous is not None:
        report['positives_changed'] = positives_changed(previous, positives)
    return replace(
        found, positives=positives, assignments=assignments,
        neighbors=ids_of_all(found.neighbors, readable, len(features)), report=report)


def ids_of_all(rows: np.ndarray, readable: np.ndarray, num_images: int) -> np.ndarray:
    """Rows of places among the readable images, as rows of ids of all images.

    Args:
        rows: (n, c) int, places in ``readable``; -1 = none.
        readable: (n,) int64 ids, ascending.
        num_images: N.

    Returns:
        (N, c) of the same dtype; -1 in the rows of the others.
    """
    of_all = np.full((num_images, rows.shape[1]), -1, dtype=rows.dtype)
    of_all[readable] = np.where(rows >= 0, readable[rows], -1)
    return of_all
