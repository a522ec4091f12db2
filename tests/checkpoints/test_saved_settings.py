"""The settings of a checkpoint beside those of a config."""

from pathlib import Path

import pytest
from mmengine.config import Config

from clim_mm.checkpoints.normalization import settings_of
from clim_mm.checkpoints.resume import UNSET, Row, rows, table


def found(checkpoint, config):
    return {row.setting: (row.checkpoint, row.config) for row in rows(checkpoint, config) if row.differs}


def test_a_row_for_each_setting_by_its_dotted_name():
    theirs = dict(model=dict(type='A', width=3), hooks=[dict(n=1), dict(n=2, m=0)], only='before', same=[1, dict(a=2)])
    ours = dict(model=dict(type='B', width=3), hooks=[dict(n=1), dict(n=5)], new=None, same=[1, dict(a=2)])
    assert found(theirs, ours) == {
        'model.type': ('A', 'B'), 'hooks.1.n': (2, 5), 'hooks.1.m': (0, UNSET), 'only': ('before', UNSET),
        'new': (UNSET, None)}
    assert len([*rows(theirs, ours)]) == 9
    assert all(row.in_force is row.config for row in rows(theirs, ours))


def test_lists():
    assert found(dict(steps=[dict(a=1)]), dict(steps=[])) == {'steps.0': (dict(a=1), UNSET)}
    assert found(dict(steps=[3, dict(a=1)]), dict(steps=[3, dict(a=2), 4])) == {
        'steps.1.a': (1, 2), 'steps.2': (UNSET, 4)}
    assert found(dict(at=[60, 80]), dict(at=[60, 90])) == {'at': ([60, 80], [60, 90])}
    assert found(dict(at=(60, [80])), dict(at=[60, (80, )])) == {}, 'the command line gives lists'


def test_the_table_shows_what_differs_and_counts_the_rest():
    text = table([Row('lr', 0.06, 0.03, 0.03), Row('momentum', 0.9, 0.9, 0.9), Row('seed', 3, UNSET, 3),
                  Row('a.long.name', 'x' * 99, 0.3, 0.3)])
    assert text.splitlines() == [
        '  setting      checkpoint                                config  in force',
        '  lr           0.06                                      0.03    0.03',
        f'  a.long.name  {"x" * 17}...{"x" * 20}  0.3     0.3',
        '  2 other settings equal']
    assert table([Row('lr', 0.06, 0.06, 0.06)]) == '  1 other settings equal'


def test_numbers_that_hardly_differ_are_told_apart():
    assert '  lr       0.30000000000000004  0.3     0.3' in table([Row('lr', 0.1 + 0.2, 0.3, 0.3)])


CONFIG = Path(__file__).parents[2] / 'configs/clim/clim_r50_16xb32-200e_in1k.py'


def test_the_settings_are_those_that_mmengine_would_have_run():
    cfg = Config.fromfile(CONFIG)
    assert settings_of(cfg.pretty_text) == Config.fromstring(cfg.pretty_text, '.py').to_dict()


def test_kinds_of_values():
    text = "a = dict(b=-1.5e-3, c=(1, [2, None]), d={'x y': True, 3: 'z'}, e=dict())\nf = 'g'\n"
    assert settings_of(text) == dict(a=dict(b=-0.0015, c=(1, [2, None]), d={'x y': True, 3: 'z'}, e={}), f='g')


def test_nothing_is_run(tmp_path):
    marker = tmp_path / 'ran'
    text = (f'import os\nopen({str(marker)!r}, "w")\na = dict(b=open({str(marker)!r}, "w"), c=1)\n'
            f'os.environ = __import__("os")\nx, y = 1, 2\ndict(z=1)\n')
    assert settings_of(text) == dict(a=dict(b=f'open({str(marker)!r}, \'w\')', c=1))
    assert not marker.exists()


@pytest.mark.parametrize('text', ['model = dict(', 'a = \x00', '(' * 5000, None, 3])
def test_what_is_no_python_has_no_settings(text):
    assert settings_of(text) == {}
