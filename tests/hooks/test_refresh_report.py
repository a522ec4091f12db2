"""The sentence, the scalars and the JSON line of a refresh."""

import json
import math
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer

from clim_mm.hooks.refresh_reports import describe, report_refresh
from clim_mm.neighbors.refresh_health import judge_refresh

REPORT = dict(
    seconds_extract=12.34, seconds_cluster=1.0, seconds_search=0.25, seconds_select=0.01, share_without_positive=0.0125,
    num_clusters=50.0, empty_clusters=3.0, cluster_balance=0.954, largest_cluster=0.021)
PURITIES = dict(purity_center_wise=0.98765, purity_knn=0.9)
HEALTHY = 'Healthy: the clusters are even enough, and most images have positives.'


@pytest.fixture
def runner(tmp_path, request):
    """What ``report_refresh`` needs of a Runner: a real logger and a real visualizer."""
    return SimpleNamespace(
        logger=MMLogger(request.node.name, log_file=str(tmp_path / 'run.log'), log_level='INFO'),
        visualizer=Visualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path)),
        work_dir=str(tmp_path), timestamp='20260101_000000', epoch=5, iter=110)


def strict(line):
    """Parse JSON as the standard has it, which knows no NaN."""
    def refuse(constant):
        raise AssertionError(f'{constant} is no JSON')

    return json.loads(line, parse_constant=refuse)


def test_the_sentence():
    assert describe(REPORT, 5) == (
        'Neighbours refreshed at epoch 5 in 13.6 s (extract 12.3 s, cluster 1.0 s, search 0.2 s, select 0.0 s): '
        '1.2% of the images have no positive, 3 of 50 clusters are empty, the largest holds 2.1% of the images '
        '(balance 0.95 of 1).')


def test_the_sentence_with_the_rank():
    assert describe(dict(REPORT, rank_me=36.94), 5).endswith(
        '(balance 0.95 of 1), the features spread over 36.9 directions.')


def test_the_sentence_with_a_table_before():
    assert describe(dict(REPORT, positives_changed=0.3456), 5).endswith(
        '(balance 0.95 of 1), 34.6% of the positives are new.')
    assert describe(dict(REPORT, positives_changed=math.nan), 5) == describe(REPORT, 5)


@pytest.mark.parametrize('age, text', [
    (1.04, 'had no key in the bank, the keys of the others are 1.0 epochs old, 34.6%'),
    (math.nan, 'had no key in the bank, 34.6%')])
def test_the_sentence_with_a_bank(age, text):
    sentence = describe(dict(REPORT, bank_never_seen=0.0214, bank_age=age, positives_changed=0.3456), 5)
    assert sentence.endswith(f'(balance 0.95 of 1), 2.1% of the images {text} of the positives are new.')


def test_the_sentence_with_purities():
    sentence = describe(dict(REPORT, **PURITIES), 0)
    assert sentence.endswith('(balance 0.95 of 1), purity center_wise 0.988, knn 0.900.')


def test_log_scalars_and_lines(runner, tmp_path):
    second = dict(REPORT, positives_changed=0.25)
    report_refresh(runner, dict(REPORT, **PURITIES), version=2)
    runner.epoch, runner.iter, runner.timestamp = 10, 220, '20260102_000000'
    report_refresh(runner, second, version=3)

    verdict = dict(state='healthy', reason=HEALTHY)
    lines = [strict(line) for line in (tmp_path / 'neighbors.jsonl').read_text().splitlines()]
    assert lines == [
        dict(run='20260101_000000', epoch=5, version=2, **REPORT, **PURITIES, **verdict),
        dict(run='20260102_000000', epoch=10, version=3, **second, **verdict),
    ]
    scalars = [strict(line) for line in next(tmp_path.rglob('scalars.json')).read_text().splitlines()]
    assert [line['step'] for line in scalars] == [110, 220]
    for line, report in zip(scalars, (dict(REPORT, **PURITIES), second), strict=True):
        shown = {name: value for name, value in line.items() if name.startswith('neighbors/')}
        assert shown == {f'neighbors/{name}': value for name, value in report.items()}
    text = (tmp_path / 'run.log').read_text()
    assert f'INFO - {describe(dict(REPORT, **PURITIES), 5)} {HEALTHY}\n' in text
    assert f'INFO - {describe(second, 10)} {HEALTHY}\n' in text


def test_a_bad_refresh_is_a_warning(runner, tmp_path):
    report = dict(REPORT, largest_cluster=0.83, cluster_balance=0.3)
    report_refresh(runner, report, version=1)
    health = judge_refresh(report)
    assert f'WARNING - {describe(report, 5)} {health.reason}\n' in (tmp_path / 'run.log').read_text()
    line = strict((tmp_path / 'neighbors.jsonl').read_text())
    assert line['state'] == 'collapsing' and line['reason'] == health.reason


def test_what_is_not_a_number_is_null_or_left_out(runner, tmp_path):
    # Without any positive there is no purity, and no share of new ones.
    report = dict(REPORT, share_without_positive=1.0, positives_changed=math.nan, purity_center_wise=math.nan)
    report_refresh(runner, report, version=1)
    line = strict((tmp_path / 'neighbors.jsonl').read_text())
    assert line['positives_changed'] is None and line['purity_center_wise'] is None
    assert line['state'] == 'not learning'
    scalars = strict(next(tmp_path.rglob('scalars.json')).read_text())
    assert scalars['neighbors/share_without_positive'] == 1.0
    assert 'neighbors/positives_changed' not in scalars and 'neighbors/purity_center_wise' not in scalars
