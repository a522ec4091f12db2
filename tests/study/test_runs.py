"""Runs, what of them is done, and that a changed config is noticed."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from clim_mm.errors import ConfigError, DataError, sentence
from clim_mm.study import Row, Study, runs_of, unfinished


def begin(run, stage):
    """Write the stage's config, as its execution does first."""
    path = Path(run.file(stage, 'py'))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stage.config)
    return str(path)


@pytest.fixture
def study(tmp_path):
    """Make a study of two rows: ``study(lr, options)``."""

    def make(lr=0.1, **others):
        (tmp_path / 'config.py').write_text(
            f'model = dict(type="A", depth=18)\noptimizer = dict(lr={lr})\nrandomness = dict(seed=9)\n')
        config = str(tmp_path / 'config.py')
        rows = (Row('a', config, {}), Row('b', config, {'model.depth': 34}))
        options = dict(dict(frozen=True, training=(Row('linear', config, {'optimizer.lr': 30}), ),
                            options={'model.type': 'B'}), **others)
        return Study('mine', rows, (4, 5), 'a', metrics=('x', ), **options)

    return make


def test_rows_by_seeds_and_their_configs(study, tmp_path):
    runs = runs_of(study(), str(tmp_path / 'work'))
    assert [(run.row, run.seed) for run in runs] == [('a', 4), ('b', 4), ('a', 5), ('b', 5)]
    assert [stage.name for stage in runs[0].stages] == ['pretraining', 'frozen', 'linear']
    path = begin(runs[3], runs[3].stages[0])
    cfg = Config.fromfile(path)
    assert path == str(tmp_path / 'work/b/seed_5/pretraining.py')
    assert (cfg.model.type, cfg.model.depth, cfg.optimizer.lr, cfg.randomness.seed) == ('B', 34, 0.1, 5)
    assert 'work_dir' not in cfg
    linear = Config.fromfile(begin(runs[3], runs[3].stages[2]))
    assert (linear.model.type, linear.model.depth, linear.optimizer.lr, linear.randomness.seed) == ('A', 18, 30, 5)


def test_what_is_done_is_kept(study, tmp_path):
    runs = runs_of(study(), str(tmp_path / 'work'))
    assert len(unfinished(runs)) == 12
    begin(runs[1], runs[1].stages[0])
    runs[1].add_result(runs[1].stages[0], dict(x=0.5), 3.21)
    runs[1].add_result(runs[1].stages[2], dict(y=0.25), 1)
    again = runs_of(study(), str(tmp_path / 'work'))
    assert [stage.name for run, stage in unfinished(again) if (run.row, run.seed) == ('b', 4)] == ['frozen']
    assert len(unfinished(again)) == 10
    assert {name: (stage['figures'], stage['seconds']) for name, stage in again[1].results().items()} == dict(
        pretraining=(dict(x=0.5), 3.2), linear=(dict(y=0.25), 1))


@pytest.mark.parametrize('change', [dict(lr=0.2), dict(options={})])
def test_a_changed_config_is_noticed(study, tmp_path, change):
    runs = runs_of(study(), str(tmp_path / 'work'))
    begin(runs[0], runs[0].stages[0])
    runs[0].add_result(runs[0].stages[0], dict(x=0.5), 1)
    with pytest.raises(ConfigError) as raised:
        unfinished(runs_of(study(**change), str(tmp_path / 'work')))
    assert 'a, seed 4, pretraining, is another' in sentence(raised.value)


def test_a_changed_config_of_what_was_broken_off_is_noticed(study, tmp_path):
    runs = runs_of(study(), str(tmp_path / 'work'))
    begin(runs[2], runs[2].stages[0])
    assert len(unfinished(runs_of(study(), str(tmp_path / 'work')))) == 12
    with pytest.raises(ConfigError, match='a, seed 5, pretraining, is another'):
        unfinished(runs_of(study(lr=0.3), str(tmp_path / 'work')))


@pytest.mark.parametrize('text', ['', '{"stages"', '[]', json.dumps(dict(row='a'))])
def test_broken_results(study, tmp_path, text):
    (run, *_) = runs_of(study(), str(tmp_path / 'work'))
    begin(run, run.stages[0])
    (tmp_path / 'work/a/seed_4/results.json').write_text(text)
    with pytest.raises(DataError, match='seed_4/results.json cannot be read'):
        run.results()
