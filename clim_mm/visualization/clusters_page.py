"""A self-contained HTML page of clusters: how large each is, of which classes, and images of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from .page import LOAD, MOST_BYTES, SIDE, filled_page, image_entries, number

CLUSTERS = 500  # on a page [ours]
EXAMPLES = 10  # images that are most, and as many that are least certainly in a cluster [ours]
_CLASSES = 5  # of a cluster, by name [ours]


def clusters_page(source: BaseDataset,
                  clusters: np.ndarray,
                  num_clusters: int,
                  certainty: np.ndarray,
                  certainty_name: str,
                  labels: np.ndarray,
                  classes: Sequence[str],
                  title: str,
                  thumbnail: int = SIDE,
                  max_bytes: int = MOST_BYTES,
                  load: Sequence = LOAD) -> str:
    """Return the page as HTML. Of more than ``CLUSTERS`` the largest are shown.

    Args:
        clusters, num_clusters, certainty, certainty_name: As a :class:`clim_mm.evaluation.clusterings.Clustering` has
            them.
        labels: (N,) int64, of the N images of the source; ``classes`` has their names.
        thumbnail, max_bytes, load: As for :func:`clim_mm.visualization.page.filled_page`.
    """
    sizes = np.bincount(clusters, minlength=num_clusters)
    shown = np.sort(np.argsort(-sizes, kind='stable')[:CLUSTERS])
    by_cluster = np.split(np.argsort(clusters, kind='stable'), np.cumsum(sizes)[:-1])
    rows = [_row(cluster, by_cluster[cluster], certainty, labels) for cluster in shown.tolist()]
    ids = sorted({image_id for row in rows for image_id, _ in row['certain'] + row['uncertain']})
    of_main = sum(int(np.bincount(labels[members]).max()) for members in by_cluster if len(members))
    facts = dict(title=title, note='', images=len(clusters), clusters=num_clusters, empty=int((sizes == 0).sum()),
                 purity=number(of_main / len(clusters)), certainty=certainty_name)
    data = dict(facts=facts, labels=classes, clusters=rows,
                images=image_entries(source, ids, labels[ids].tolist(), clusters))
    return filled_page('clusters_page.html', data, source, thumbnail, max_bytes, load)


def _row(cluster: int, members: np.ndarray, certainty: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What the page's script draws: ``classes`` and ``others`` by number of images, examples by certainty."""
    present, numbers = np.unique(labels[members], return_counts=True)
    largest = np.argsort(-numbers, kind='stable')[:_CLASSES]
    ranked = members[np.argsort(-certainty[members], kind='stable')]
    examples = [[int(image_id), number(certainty[image_id])] for image_id in ranked]
    most = len(examples) if len(examples) <= 2 * EXAMPLES else EXAMPLES
    return dict(
        id=cluster, size=len(members),
        classes=[[int(present[place]), int(numbers[place])] for place in largest],
        others=int(numbers.sum() - numbers[largest].sum()),
        certain=examples[:most], uncertain=examples[most:][-EXAMPLES:])
