"""Trials with several seeds, and the mean of those that are finished."""

import json
from pathlib import Path

import pytest

from clim_mm.errors import ConfigError, DataError
from clim_mm.transfer.trials import check_premises, table_of_trials, trials_of


def write(trial, finished=True, **figures):
    folder = Path(trial.folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = dict(iter=4, finished=finished, seed=trial.seed, figures=figures)
    (folder / 'figures.json').write_text(json.dumps(content))


def test_each_has_its_seed_and_folder(tmp_path):
    trials = trials_of(str(tmp_path), 3, first_seed=7)
    assert [(trial.seed, trial.folder) for trial in trials] == [(seed, f'{tmp_path}/seed_{seed}') for seed in (7, 8, 9)]


def test_the_mean_is_that_of_the_finished_ones(tmp_path):
    trials = trials_of(str(tmp_path), 4)
    assert [trial.figures() for trial in trials] == [None] * 4
    for trial, ap in zip(trials, (0.5, 0.6, 0.7), strict=False):
        write(trial, AP=ap, AP50=0.8)
    write(trials[3], finished=False, AP=0.1)
    assert trials[1].figures() == dict(AP=0.6, AP50=0.8) and trials[3].figures() is None
    table = table_of_trials('detector', trials)
    cell = table.mean('detector', 'AP')
    # Student's t of two degrees of freedom is 4.3027; the standard deviation 0.1.
    assert (cell.mean, cell.number) == (pytest.approx(0.6), 3)
    assert cell.half_width == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    lines = table.markdown().splitlines()
    assert lines[0] == '| row | seeds | AP | AP50 |'
    assert lines[2] == '| **detector** | 3 | 0.600 ± 0.248 | 0.800 ± 0.000 |'
    assert table.csv().splitlines()[1].startswith('detector,AP,3,0.6')


def test_another_trainings_figures_are_not_taken(tmp_path):
    trials = trials_of(str(tmp_path), 2)
    write(trials[0])
    other = trials_of(str(tmp_path), 1, first_seed=5)[0]
    path = tmp_path / 'seed_5'
    path.mkdir()
    (path / 'figures.json').write_text((tmp_path / 'seed_0/figures.json').read_text())
    with pytest.raises(ConfigError, match='seed 0 instead of 5'):
        other.figures()


@pytest.mark.parametrize('content', ['', '[3]', '{"finished": tr'])
def test_figures_that_cannot_be_read(tmp_path, content):
    (trial, ) = trials_of(str(tmp_path), 1)
    (tmp_path / 'seed_0').mkdir()
    (tmp_path / 'seed_0/figures.json').write_text(content)
    with pytest.raises(DataError, match='cannot be read'):
        trial.figures()


def test_a_folder_of_other_trials_is_refused(tmp_path):
    premises = dict(config='lr = 1', checkpoint='0f', arguments=['--amp'])
    for _ in range(2):
        check_premises(str(tmp_path), premises)
    with pytest.raises(ConfigError, match='have another config and another checkpoint .*: give what they were begun w'):
        check_premises(str(tmp_path), dict(premises, config='lr = 2', checkpoint='1e'))
    check_premises(str(tmp_path), premises)
    (tmp_path / 'trials.json').write_text('[')
    with pytest.raises(DataError, match='trials.json cannot be read'):
        check_premises(str(tmp_path), premises)
