"""The settings of a config, read without running it."""

from pathlib import Path

import pytest
from mmengine.config import Config

from clim_mm.checkpoints.config_text import settings_of
from clim_mm.errors import CheckpointError, sentence

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


@pytest.mark.parametrize('text', ['model = dict(', 'a = \x00', '(' * 5000])
def test_what_is_no_python_is_said(text):
    with pytest.raises(CheckpointError) as raised:
        settings_of(text)
    assert sentence(raised.value).startswith('The config in the checkpoint cannot be read (')
