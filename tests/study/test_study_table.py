"""The table, by hand."""

import csv

import pytest

from clim_mm.study import Run, runs_csv, table_of
from clim_mm.study.runs import Stage

FIGURES = dict(
    moco={0: dict(knn=0.5, purity=0.2), 1: dict(knn=0.7, purity=0.3), 2: dict(knn=0.6)},
    clim={0: dict(knn=0.61, purity=0.1), 1: dict(knn=0.8, purity=0.5), 2: dict(knn=0.71)},
    other={0: dict(knn=0.4)})


@pytest.fixture
def runs(tmp_path):
    """Of three rows, one of which has a single seed."""
    stages = (Stage('pretraining', True, 'a'), Stage('frozen', False, 'b'))
    runs = []
    for row, by_seed in FIGURES.items():
        for seed in (0, 1, 2):
            run = Run(row, seed, str(tmp_path / row / str(seed)), stages)
            runs.append(run)
            for stage, name in zip(stages, ('purity', 'knn'), strict=True):
                if name in by_seed.get(seed, {}):
                    (tmp_path / row / str(seed)).mkdir(parents=True, exist_ok=True)
                    run.add_result(stage, {name: by_seed[seed][name]}, 1)
    return runs


@pytest.fixture
def table(runs):
    return table_of('mine', 'moco', ['knn', 'purity'], runs)


def test_markdown(table):
    lines = table.markdown().splitlines()
    assert lines[0] == '| row | seeds | knn | purity |'
    # t of 2 degrees of freedom 4.3027, of 1 12.7062.
    assert lines[2] == '| **moco** | 3 | 0.600 ± 0.248 | 0.250 ± 0.635 |'
    assert lines[3] == '| **clim** | 3 | 0.707 ± 0.236 | 0.300 ± 2.541 |'
    assert lines[4] == '| minus moco | | +0.107 ± 0.014 | (+0.050 ± 1.906) |'
    assert lines[5] == '| **other** | 1 | 0.400 | - |'
    assert lines[6] == '| minus moco | | (-0.100) | - |'


def test_csv(table):
    lines = list(csv.DictReader(table.csv().splitlines()))
    assert [(line['row'], line['metric'], line['seeds']) for line in lines] == [
        (row, metric, str(number)) for row, metric, number in [
            ('moco', 'knn', 3), ('moco', 'purity', 2), ('clim', 'knn', 3), ('clim', 'purity', 2), ('other', 'knn', 1),
            ('other', 'purity', 0)]]
    assert float(lines[2]['mean']) == pytest.approx(2.12 / 3)
    assert float(lines[2]['difference']) == pytest.approx(0.32 / 3)


def test_the_plot_is_drawn(table, tmp_path):
    table.draw(str(tmp_path / 'table.png'))
    assert (tmp_path / 'table.png').stat().st_size > 10000


def test_each_run_has_its_figures(runs):
    lines = [line.split(',') for line in runs_csv(runs).splitlines()]
    assert lines[0] == ['row', 'seed', 'figure', 'value']
    found = {(row, int(seed), figure): float(value) for row, seed, figure, value in lines[1:]}
    assert found == {(row, seed, figure): value for row, by_seed in FIGURES.items()
                     for seed, figures in by_seed.items() for figure, value in figures.items()}


def test_any_row_can_be_the_baseline(runs):
    (difference, ) = [cells['knn'].difference for row, cells in table_of('mine', 'clim', ['knn'], runs).cells.items()
                      if row == 'moco']
    assert difference.mean == pytest.approx(-0.32 / 3)
