"""Figures of runs, as results have them and as CSV."""

import pytest

from clim_mm.errors import ConfigError, DataError, sentence
from clim_mm.study import Figure, Row, Run, Study, figures_of, read_runs_csv, runs_csv
from clim_mm.study.runs import Stage

STUDY = Study('mine', (Row('moco', '', {}), Row('clim', '', {})), (0, 1), 'moco', True, (), ('knn', ), {})
FIGURES = [
    Figure('moco', 0, 'purity', 0.2),
    Figure('moco', 0, 'knn', 1 / 3),
    Figure('clim', 0, 'purity', 0.1),
    Figure('moco', 1, 'purity', 1e-9)]


def test_of_runs_that_are_finished(tmp_path):
    stages = (Stage('pretraining', True, 'a'), Stage('frozen', False, 'b'))
    runs = [Run(row, seed, str(tmp_path / row / str(seed)), stages) for seed in (0, 1) for row in ('moco', 'clim')]
    for run in runs:
        (tmp_path / run.row / str(run.seed)).mkdir(parents=True)
        for stage, name in zip(stages, ('purity', 'knn'), strict=True):
            for figure in FIGURES:
                if (figure.row, figure.seed, figure.name) == (run.row, run.seed, name):
                    run.add_result(stage, {name: figure.value}, 1)
    assert figures_of(runs) == FIGURES


def test_the_csv_is_read_as_it_was_written(tmp_path):
    path = tmp_path / 'runs.csv'
    path.write_text(runs_csv(FIGURES))
    assert path.read_text().splitlines()[:2] == ['row,seed,figure,value', 'moco,0,purity,0.2']
    assert read_runs_csv(str(path), STUDY) == FIGURES


@pytest.mark.parametrize('text, words', [
    ('', ['holds no runs', 'row,seed,figure,value']),
    ('row,metric,seeds,mean\n', ['holds no runs']),
    ('row,seed,figure,value\nmoco,0,knn\n', ['cannot be read']),
    ('row,seed,figure,value\nmoco,zero,knn,1\n', ['cannot be read', 'zero']),
    ('row,seed,figure,value\nmoco,0,knn,nan\n', ['each value a number']),
    ('row,seed,figure,value\nmoco,0,knn,1\nmoco,0,knn,1\n', ['twice']),
    ('row,seed,figure,value\nmocco,0,knn,1\n', ['mocco', "did you mean 'moco'"]),
    ('row,seed,figure,value\nmoco,7,knn,1\n', ['seed 7', 'mine']),
    ('\0', ['runs.csv']),
])
def test_what_is_no_csv_of_the_study(tmp_path, text, words):
    (tmp_path / 'runs.csv').write_text(text)
    with pytest.raises((ConfigError, DataError)) as raised:
        read_runs_csv(str(tmp_path / 'runs.csv'), STUDY)
    assert all(word in sentence(raised.value) for word in words), sentence(raised.value)


def test_no_file():
    with pytest.raises(DataError, match='cannot be read'):
        read_runs_csv('nothing.csv', STUDY)
