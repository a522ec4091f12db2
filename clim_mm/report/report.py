"""The report as one HTML page."""

import os.path as osp
from collections.abc import Mapping
from typing import Any

import numpy as np

from clim_mm.checkpoints import write_atomically
from clim_mm.embedding import Embeddings, duplicate_groups, embed
from clim_mm.errors import printable
from clim_mm.neighbors.feature_quality import spread_ids
from clim_mm.preflight.forecast import duration
from clim_mm.visualization.figures import tsne_places
from clim_mm.visualization.page import LOAD, image_entries, number
from clim_mm.visualization.report_page import report_page

from .records import all_ids, curves_in, records_in, refreshes_in, verdict_of

REPORT, BACKBONE, TRAINING = 'report.html', 'backbone.safetensors', 'training'
_ON_THE_MAP, _CLUSTERS, _OF_A_CLUSTER, _GROUPS, _ANCHORS = 2000, 12, 24, 24, 12  # that are shown, at most [ours]
_MOST_EMBEDDED = 20_000  # images, spread over the folder


def write_report(folder: str, happened: Mapping[str, Any]) -> str:
    """Embed the images of a ``clim-mm pretrain`` folder by its backbone, write the report, and give its path.

    Args:
        happened: What was planned and found, and the seconds that were spent, as ``read_happened`` reads them.
    """
    work_dir = osp.join(folder, TRAINING)
    state, reason = verdict_of(work_dir)
    found = embed(osp.join(folder, BACKBONE), happened['recipe']['folder'], most=_MOST_EMBEDDED)
    assert found is not None, 'a report is one process'
    refreshes = refreshes_in(work_dir)
    anchors = [anchor for anchor in (refreshes[0][1] if refreshes else {})][:_ANCHORS]
    refreshes = [(epoch, {anchor: of[anchor] for anchor in anchors if anchor in of}) for epoch, of in refreshes]
    clusters, groups, points = _clusters(found), _groups(found), _points(found)
    ids = sorted(all_ids(refreshes) | {i for row in clusters for i in row['images']}
                 | {i for group in groups for i, _ in group} | {point[3] for point in points})
    data = dict(
        facts=dict(title=f'What was learned from {printable(osp.basename(found.folder.rstrip("/")))}', note='',
                   state=state, reason=reason),
        told=_told(happened, work_dir, found), curves=curves_in(work_dir),
        refreshes=[dict(epoch=epoch, anchors=[[anchor, of] for anchor, of in positives.items()])
                   for epoch, positives in refreshes],
        clusters=clusters, groups=groups, points=points, labels=[],
        unreadable=[printable(path) for path in happened['survey']['unreadable']],
        copies=[[*map(printable, group)] for group in happened['survey']['copies']],
        images=image_entries(found.source, ids, [None] * len(ids), np.full(len(found.source), -1)))
    path = osp.join(folder, REPORT)
    write_atomically(path, report_page(data, found.source, LOAD).encode())
    return path


def _told(happened: Mapping[str, Any], work_dir: str, found: Embeddings) -> list[list[str]]:
    """The plan beside what happened, and figures: name, planned, happened."""
    recipe, spent = happened['recipe'], happened['spent']
    watched = records_in(work_dir, 'watchdog')
    seen = recipe['epochs'] * recipe['num_images']
    rows = [['method and network', f'{recipe["method"]}, {recipe["arch"]}, {recipe["channels"]} channels at first', ''],
            ['views', f'up to {recipe["size"]} pixels', ''],
            ['images', f'{recipe["num_images"]:,}', f'{len(found.ids):,} embedded for this report'],
            ['epochs', f'{recipe["epochs"]:,}', f'{watched[-1]["epoch"] + 1:,}' if watched else ''],
            ['time of the training', '' if happened['seconds'] is None else duration(happened['seconds']),
             duration(spent)],
            ['images a second', '' if happened['seconds'] is None else f'{seen / happened["seconds"]:,.0f}',
             f'{seen / spent:,.0f}']]
    if last := records_in(work_dir, 'neighbors'):
        rows.append(['images without a positive', '', f'{last[-1]["share_without_positive"]:.1%}'])
    return rows


def _clusters(found: Embeddings) -> list[dict[str, Any]]:
    """The largest clusters: their images, those nearest to the centre first."""
    rows = []
    sizes = np.bincount(found.clusters)
    for cluster in np.argsort(-sizes, kind='stable')[:_CLUSTERS].tolist():
        members = np.flatnonzero(found.clusters == cluster)
        nearness = found.vectors[members] @ found.vectors[members].mean(axis=0)
        shown = members[np.argsort(-nearness, kind='stable')[:_OF_A_CLUSTER]]
        rows.append(dict(id=cluster, size=int(sizes[cluster]), images=found.ids[shown].tolist()))
    return rows


def _groups(found: Embeddings) -> list[list[list[Any]]]:
    """Near-duplicates: id and cosine of each."""
    return [[[int(found.ids[one.row]), number(one.cosine)] for one in group[:_OF_A_CLUSTER]]
            for group in duplicate_groups(found)[:_GROUPS]]


def _points(found: Embeddings) -> list[list[Any]]:
    """A map of the images: place from 0 to 1 in two dimensions, cluster, id."""
    rows = spread_ids(len(found.ids), _ON_THE_MAP)
    places = in_two_dimensions(found.vectors[rows])
    low, high = places.min(axis=0), places.max(axis=0)
    places = (places - low) / np.maximum(high - low, 1e-12)
    return [[round(float(x), 4), round(float(y), 4), int(found.clusters[row]), int(found.ids[row])]
            for (x, y), row in zip(places, rows, strict=True)]


def in_two_dimensions(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """(n, 2) by t-SNE, begun with the first two principal components; of four images and fewer these alone."""
    from sklearn.decomposition import PCA

    if len(vectors) < 5:
        return np.pad(vectors[:, :1], ((0, 0), (0, 1)))
    if vectors.shape[1] > 50:
        vectors = PCA(min(50, *vectors.shape), random_state=seed).fit_transform(vectors)
    return tsne_places(vectors, seed)
