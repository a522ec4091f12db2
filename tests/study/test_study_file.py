"""Study files, and what is wrong with some."""

import pytest

from clim_mm.errors import ConfigError, sentence
from clim_mm.study import read_study

SOUND = """
_config = '{config}'
rows = dict(
    moco=dict(config=_config, options={{'default_hooks.neighbors.begin': 1000}}),
    clim=dict(config='{config}'))
seeds = [0, 3]
baseline = 'moco'
metrics = ['knn_20_top1']
training = dict(linear=dict(config='{config}', options={{'train_cfg.max_epochs': 2}}))
options = {{'train_cfg.max_epochs': 1}}
"""


@pytest.fixture
def write(tmp_path):
    """Write a study file, with words replaced: ``write(old, new)``; gives its path."""
    config = tmp_path / 'config.py'
    config.write_text('a = 1\n')

    def write_study(old='', new=''):
        path = tmp_path / 'mine.py'
        path.write_text(SOUND.format(config=config).replace(old, new) if old else SOUND.format(config=config))
        return str(path)

    return write_study


def test_a_sound_one(write, tmp_path):
    study = read_study(write())
    assert (study.name, study.seeds, study.baseline, study.frozen) == ('mine', (0, 3), 'moco', True)
    assert [(row.name, row.options) for row in study.rows] == [
        ('moco', {'default_hooks.neighbors.begin': 1000}), ('clim', {})]
    assert {row.config for row in (*study.rows, *study.training)} == {str(tmp_path / 'config.py')}
    assert [(row.name, row.options) for row in study.training] == [('linear', {'train_cfg.max_epochs': 2})]
    assert study.metrics == ('knn_20_top1', ) and study.options == {'train_cfg.max_epochs': 1}
    assert not read_study(write('seeds', 'frozen = False\nseeds')).frozen
    assert study.comparisons == ()
    assert read_study(write('seeds', "comparisons = [['clim', 'moco']]\nseeds")).comparisons == (('clim', 'moco'), )


@pytest.mark.parametrize('old, new, words', [
    ("baseline = 'moco'", "baseline = 'mocco'", ['baseline', "did you mean 'moco'"]),
    ('seeds = [0, 3]', 'seeds = [0, 0]', ['seed stands twice']),
    ('seeds = [0, 3]', 'seeds = []', ['seeds']),
    ('seeds = [0, 3]', 'seeds = [0, -1]', ['seed', '-1']),
    ('seeds = [0, 3]', '', ['seeds']),
    ('metrics', 'metrix', ['metrix']),
    ('clim=dict(config=', 'clim=dict(confg=', ['row clim', 'confg']),
    ('seeds = ', 'seeds = [', ['cannot be read']),
    ('seeds = ', "comparisons = [['clim', 'mocco']]\nseeds = ", ['comparisons', 'pairs of rows', 'mocco']),
    ('seeds = ', "comparisons = [['clim', 'moco', 'clim']]\nseeds = ", ['comparisons', 'pairs of rows']),
    ('seeds = ', "comparisons = 'clim'\nseeds = ", ['comparisons', 'pairs of rows']),
])
def test_what_is_wrong(write, old, new, words):
    with pytest.raises(ConfigError) as raised:
        read_study(write(old, new))
    text = sentence(raised.value)
    assert all(word in text for word in words), text


def test_no_file():
    with pytest.raises(ConfigError, match='no config nothing.py'):
        read_study('nothing.py')
