"""The tables of docs/study.md are those of the figures stored beside it."""

from pathlib import Path

import pytest

from clim_mm.study import read_runs_csv, read_study, table_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize('name', ['digits', 'textures', 'cifar10', 'cifar10_queue'])
def test_the_table_is_that_of_the_stored_figures(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read_study(f'configs/studies/{name}.py')
    figures = read_runs_csv([f'docs/study_{name}_runs.csv'], study)
    runs = {(row.name, seed) for row in study.rows for seed in study.seeds}
    assert {(figure.row, figure.seed) for figure in figures} == runs, 'every row with every seed'
    assert table_of(study, figures).markdown() in Path('docs/study.md').read_text()
