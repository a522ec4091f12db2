"""The table, its intervals and its pictures, by hand; figures of runs, as results have them and as CSV."""

import math
from pathlib import Path

import numpy as np
import pytest

from clim_mm.errors import DataError, sentence
from clim_mm.study import (
    Figure,
    Row,
    Run,
    Study,
    Table,
    estimate,
    figures_of,
    read_runs_csv,
    runs_csv,
    table_of,
)
from clim_mm.study.runs import Stage

FIGURES = [
    *[Figure('moco', seed, 'knn', value) for seed, value in [(0, 0.5), (1, 0.7), (2, 0.6)]],
    *[Figure('moco', seed, 'purity', value) for seed, value in [(0, 0.2), (1, 0.3)]],
    *[Figure('clim', seed, 'knn', value) for seed, value in [(0, 0.61), (1, 0.8), (2, 0.71)]],
    *[Figure('clim', seed, 'purity', value) for seed, value in [(0, 0.1), (1, 0.5)]],
    Figure('other', 0, 'knn', 0.4),
    Figure('other', 0, 'seconds', 3.0)]


def study_of(baseline='moco', comparisons=()):
    rows = tuple(Row(name, '', {}) for name in ('moco', 'clim', 'other'))
    return Study('mine', rows, (0, 1, 2), baseline, True, (), ('knn', 'purity'), {}, comparisons)


@pytest.fixture
def table():
    return table_of(study_of(comparisons=(('other', 'clim'), ('clim', 'moco'))), FIGURES)


def test_markdown(table):
    lines = table.markdown().splitlines()
    assert lines[0] == '| row | seeds | knn | purity |'
    # t of 2 degrees of freedom 4.3027, of 1 12.7062.
    assert lines[2] == '| **moco** | 3 | 0.600 ± 0.248 | 0.250 ± 0.635 |'
    assert lines[3] == '| **clim** | 3 | 0.707 ± 0.236 | 0.300 ± 2.541 |'
    assert lines[4] == '| minus moco | | +0.107 ± 0.014 | (+0.050 ± 1.906) |'
    assert lines[5] == '| **other** | 1 | 0.400 | - |'
    assert lines[6] == '| minus moco | | (-0.100) | - |'
    assert lines[10:] == ['| difference | knn | purity |', '|---|---|---|', '| other over clim | (-0.210) | - |',
                          '| clim over moco | +0.107 ± 0.014 | (+0.050 ± 1.906) |']


def test_without_comparisons_there_is_no_second_table():
    assert len(table_of(study_of(), FIGURES).markdown().splitlines()) == 9


def test_the_pictures_are_drawn(table, tmp_path):
    table.draw(str(tmp_path / 'table.png'))
    table.draw_comparisons(str(tmp_path / 'comparisons.png'))
    assert all((tmp_path / f'{name}.png').stat().st_size > 10000 for name in ('table', 'comparisons'))


def test_any_row_can_be_the_baseline():
    table = table_of(study_of('clim'), FIGURES)
    assert table.difference('moco', table.baseline, 'knn').mean == pytest.approx(-0.32 / 3)
    assert '| minus clim | | -0.107' in table.markdown()


def test_an_interval_by_hand():
    # 1, 2, 4, 5: mean 3, standard deviation sqrt(10 / 3), t of 3 degrees of freedom 3.1824.
    found = estimate([1.0, 2.0, 4.0, 5.0])
    assert (found.mean, found.number) == (3.0, 4)
    assert found.half_width == pytest.approx(3.18245 * math.sqrt(10 / 3) / 2, abs=1e-4)


def test_the_interval_holds_the_mean_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    held = [abs(found.mean - 7) <= found.half_width
            for found in (estimate(rng.normal(7, 2, 5)) for _ in range(4000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_and_none():
    assert estimate([2.5]).mean == 2.5 and math.isnan(estimate([2.5]).half_width)
    assert math.isnan(estimate([]).mean) and estimate([]).number == 0


def test_differences_are_between_the_same_seeds():
    values, others = {0: 1.0, 1: 12.0, 2: 23.0, 7: 99.0}, {2: 20.0, 1: 10.0, 0: 0.0, 5: -50.0}
    found = Table('b', ('m', ), {'a': {'m': values}, 'b': {'m': others}}).difference('a', 'b', 'm')
    assert (found.mean, found.number) == (2.0, 3)
    assert found.half_width == pytest.approx(4.30265 / math.sqrt(3), abs=1e-4)
    assert found.is_noise


@pytest.mark.parametrize('differences, noise', [([1.0, 1.1, 0.9], False), ([-1.0, -1.1, -0.9], False),
                                                ([1.0, -1.0, 1.0], True), ([1.0], True), ([], True)])
def test_what_may_be_noise(differences, noise):
    assert estimate(differences).is_noise == noise


STUDY = Study('mine', (Row('moco', '', {}), Row('clim', '', {})), (0, 1), 'moco', True, (), ('knn', ), {})
STORED = [
    Figure('moco', 0, 'purity', 0.2),
    Figure('moco', 0, 'knn', 1 / 3),
    Figure('clim', 0, 'purity', 0.1),
    Figure('moco', 1, 'purity', 1e-9)]


def test_of_runs_that_are_finished(tmp_path):
    stages = (Stage('pretraining', 'a'), Stage('frozen', None))
    runs = [Run(row, seed, str(tmp_path / row / str(seed)), stages) for seed in (0, 1) for row in ('moco', 'clim')]
    for run in runs:
        (tmp_path / run.row / str(run.seed)).mkdir(parents=True)
        for stage, name in zip(stages, ('purity', 'knn'), strict=True):
            for figure in STORED:
                if (figure.row, figure.seed, figure.figure) == (run.row, run.seed, name):
                    run.add_result(stage, {name: figure.value}, 1)
    assert figures_of(runs) == STORED


def test_the_csv_is_read_as_it_was_written(tmp_path):
    path = tmp_path / 'runs.csv'
    path.write_text(runs_csv(STORED))
    assert path.read_text().splitlines()[:2] == ['row,seed,figure,value', 'moco,0,purity,0.2']
    assert read_runs_csv([str(path)], STUDY) == STORED


def test_machines_that_shared_a_study(tmp_path):
    paths = [str(tmp_path / f'{seed}.csv') for seed in (0, 1)]
    for seed, path in enumerate(paths):
        Path(path).write_text(runs_csv([figure for figure in STORED if figure.seed == seed]))
    assert sorted(read_runs_csv(paths, STUDY)) == sorted(STORED)
    with pytest.raises(DataError, match='0.csv .*twice'):
        read_runs_csv([*paths, paths[0]], STUDY)


@pytest.mark.parametrize('text, word', [
    ('', 'runs.csv of this study'),
    ('row,metric,seeds,mean\n', 'runs.csv of this study'),
    ('row,metric,seeds,mean\nmoco,knn,3,1\n', 'cannot be read'),
    ('row,seed,figure,value\nmoco,0,knn\n', 'cannot be read'),
    ('row,seed,figure,value\nmoco,zero,knn,1\n', 'zero'),
    ('row,seed,figure,value\nmoco,0,purity,1\nmoco,0,knn,nan\n', 'mine'),
    ('row,seed,figure,value\nmoco,0,knn,1\nmoco,0,knn,1\n', 'twice'),
    ('row,seed,figure,value\nmoco,0,knn,1\nmocco,0,knn,1\n', 'mine'),
    ('row,seed,figure,value\nmoco,0,knn,1\nmoco,7,knn,1\n', 'mine'),
    ('\0', 'runs.csv'),
])
def test_what_is_no_csv_of_the_study(tmp_path, text, word):
    (tmp_path / 'runs.csv').write_text(text)
    with pytest.raises(DataError) as raised:
        read_runs_csv([str(tmp_path / 'runs.csv')], STUDY)
    assert word in sentence(raised.value), sentence(raised.value)


def test_no_file():
    with pytest.raises(DataError, match='cannot be read'):
        read_runs_csv(['nothing.csv'], STUDY)
