"""What a training's folder tells: verdict, curves over the epochs, positives of its refreshes."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from clim_mm.errors import DataError
from clim_mm.health import HEALTHY

# By title the figures of a curve: the file that has them, and their names there with words.
_CURVES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ('Loss, as a share of chance', 'watchdog', dict(relative_nce='loss')),
    ('Cosine of queries and keys', 'watchdog',
     dict(positive_similarity='to positives', negative_similarity='to negatives')),
    ('Spread of the features, of 1', 'watchdog', dict(feature_std='spread')),
    ('Positives that changed since the refresh before', 'neighbors', dict(positives_changed='new')),
    ('Directions that the features spread over (RankMe)', 'neighbors', dict(rank_me='directions')),
    ('Uniformity of the features', 'neighbors', dict(uniformity='uniformity')),
    ('Purity of the positives', 'neighbors', dict(purity_center_wise='center-wise', purity_knn='kNN')),
    ('kNN accuracy on held-out images', 'knn', dict(top1='accuracy')))
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
_PAGE = re.compile(r'epoch_(\d+)\.html')


def records_in(work_dir: str, name: str) -> list[dict[str, Any]]:
    """The lines of ``NAME.jsonl``, of the latest run; none if there is no such file. A line cut off is left out."""
    path = Path(work_dir, f'{name}.jsonl')
    lines = []
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:  # the disk was full, or the training was killed
            continue
    return [line for line in lines if line.get('run_id') == lines[-1].get('run_id')]


def verdict_of(work_dir: str) -> tuple[str, str]:
    """State and reason of the last line of the watchdog, or of the last refresh, if that is what looks wrong."""
    last = [lines[-1] for name in ('watchdog', 'neighbors') if (lines := records_in(work_dir, name))]
    if not last:
        raise DataError(f'{work_dir} tells of no training: give the folder of clim-mm pretrain, when an epoch is over.')
    told = next((line for line in last if line['state'] != HEALTHY), last[0])
    return told['state'], told['reason']


def curves_in(work_dir: str) -> list[dict[str, Any]]:
    """Curves that have two points at least: title, and by name their points, (epoch, value)."""
    curves = []
    for title, file, names in _CURVES:
        lines = records_in(work_dir, file)
        series = {words: [[line['epoch'] + (file == 'watchdog'), line[name]] for line in lines
                          if isinstance(line.get(name), (int, float))] for name, words in names.items()}
        series = {words: points for words, points in series.items() if len(points) > 1}
        if series:
            curves.append(dict(title=title, series=series))
    return curves


def refreshes_in(work_dir: str) -> list[tuple[int, dict[int, list[int]]]]:
    """Epoch and positives by anchor, all ids, of the first and of the last page that ``NeighborPageHook`` has left."""
    pages = sorted((int(named[1]), path) for path in Path(work_dir, 'neighbors').glob('*.html')
                   if (named := _PAGE.fullmatch(path.name)))
    return [(epoch, positives) for epoch, path in {**dict(pages[:1]), **dict(pages[-1:])}.items()
            if (positives := _positives_on(path.read_text())) is not None]


def _positives_on(page: str) -> Optional[dict[int, list[int]]]:
    data = _DATA.search(page)
    if data is None:
        return None
    return {row['id']: [entry[0] for entry in row['positives']] for row in json.loads(data[1])['anchors']}


def all_ids(refreshes: Sequence[tuple[int, dict[int, list[int]]]]) -> set[int]:
    """The images that are in them."""
    return {i for _, positives in refreshes for anchor, ids in positives.items() for i in (anchor, *ids)}
