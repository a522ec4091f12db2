"""The sentence, the scalars and the JSON line of a refresh."""

import json
from types import SimpleNamespace

from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer

from clim_mm.engine.refresh_report import describe, report_refresh

REPORT = dict(
    seconds_extract=12.34, seconds_cluster=1.0, seconds_search=0.25, seconds_select=0.01, share_without_positive=0.0125,
    empty_clusters=3.0)
PURITIES = dict(purity_center_wise=0.98765, purity_knn=0.9)


def test_the_sentence():
    assert describe(REPORT, 5) == (
        'Neighbours refreshed at epoch 5 in 13.6 s (extract 12.3 s, cluster 1.0 s, search 0.2 s, select 0.0 s): '
        '1.2% of the images have no positive, 3 clusters are empty.')


def test_the_sentence_with_purities():
    sentence = describe(dict(REPORT, **PURITIES), 0)
    assert sentence.endswith('3 clusters are empty, purity center_wise 0.988, knn 0.900.')


def test_log_scalars_and_lines(tmp_path):
    log = tmp_path / 'run.log'
    runner = SimpleNamespace(
        logger=MMLogger('refresh_report', log_file=str(log), log_level='INFO'),
        visualizer=Visualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path)),
        work_dir=str(tmp_path), timestamp='20260101_000000', epoch=5, iter=110)
    report_refresh(runner, dict(REPORT, **PURITIES), version=2)
    runner.epoch, runner.iter, runner.timestamp = 10, 220, '20260102_000000'
    report_refresh(runner, REPORT, version=3)

    lines = [json.loads(line) for line in (tmp_path / 'neighbors.jsonl').read_text().splitlines()]
    assert lines == [
        dict(run='20260101_000000', epoch=5, version=2, **REPORT, **PURITIES),
        dict(run='20260102_000000', epoch=10, version=3, **REPORT),
    ]
    scalars = [json.loads(line) for line in next(tmp_path.rglob('scalars.json')).read_text().splitlines()]
    assert [line['step'] for line in scalars] == [110, 220]
    for line, report in zip(scalars, (dict(REPORT, **PURITIES), REPORT), strict=True):
        shown = {name: value for name, value in line.items() if name.startswith('neighbors/')}
        assert shown == {f'neighbors/{name}': value for name, value in report.items()}
    text = log.read_text()
    assert describe(dict(REPORT, **PURITIES), 5) in text and describe(REPORT, 10) in text
