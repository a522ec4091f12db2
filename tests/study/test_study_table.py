"""The table, by hand."""

import csv

import pytest

from clim_mm.study import Figure, Row, Study, table_of

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


def test_csv(table):
    lines = list(csv.DictReader(table.csv().splitlines()))
    assert [(line['row'], line['metric'], line['seeds']) for line in lines] == [
        (row, metric, str(number)) for row, metric, number in [
            ('moco', 'knn', 3), ('moco', 'purity', 2), ('clim', 'knn', 3), ('clim', 'purity', 2), ('other', 'knn', 1),
            ('other', 'purity', 0)]]
    assert float(lines[2]['mean']) == pytest.approx(2.12 / 3)
    assert float(lines[2]['difference']) == pytest.approx(0.32 / 3)


def test_the_pictures_are_drawn(table, tmp_path):
    table.draw(str(tmp_path / 'table.png'))
    table.draw_comparisons(str(tmp_path / 'comparisons.png'))
    assert all((tmp_path / f'{name}.png').stat().st_size > 10000 for name in ('table', 'comparisons'))


def test_any_row_can_be_the_baseline():
    assert table_of(study_of('clim'), FIGURES).cells['moco']['knn'].difference.mean == pytest.approx(-0.32 / 3)
