"""Configs as the commands read them."""

import pytest

from clim_mm.config_file import dicts_below, load_config
from clim_mm.errors import ConfigError


def test_defaults(small_config):
    cfg = load_config(small_config)
    assert (cfg.work_dir, cfg.launcher, cfg.optim_wrapper.type) == ('work_dirs/mine', 'none', 'OptimWrapper')
    assert load_config(small_config, cfg_options={'work_dir': 'set'}).work_dir == 'set'
    assert load_config(small_config, 'there', cfg_options={'work_dir': 'set'}).work_dir == 'there'


def test_a_config_that_is_not_there():
    with pytest.raises(ConfigError, match='There is no config nowhere.py'):
        load_config('nowhere.py')


@pytest.mark.parametrize('text', ['a = ', 'a = b', '_base_ = "nowhere.py"', 'raise OSError("me")', '_base_ = 3'])
def test_a_config_that_cannot_be_read(tmp_path, text):
    path = tmp_path / 'mine.py'
    path.write_text(text)
    with pytest.raises(ConfigError, match=f'The config {path} cannot be read .*: correct it.') as caught:
        load_config(str(path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('option, words', [
    ({'optim_wraper.optimizer.lr': 1}, 'there is no optim_wraper in the config, .* .did you mean \'optim_wrapper\'?.'),
    ({'train_cfg.max_epochs.x': 1}, 'train_cfg.max_epochs.x does not fit the config'),
    ({'custom_hooks.3.interval': 1}, 'custom_hooks.3.interval does not fit the config'),
])
def test_an_option_that_fits_nowhere(small_config, tmp_path, option, words):
    path = tmp_path / 'mine.py'
    path.write_text(path.read_text() + 'custom_hooks = [dict(type="EMAHook")]')
    with pytest.raises(ConfigError, match=words):
        load_config(str(path), cfg_options=option)


def test_all_dicts_and_their_places():
    nested = dict(a=[dict(b=1), (2, dict(c=dict(d=3)))], e=4)
    assert dict(dicts_below(nested)) == {'': nested, 'a.0': dict(b=1), 'a.1.1': dict(c=dict(d=3)), 'a.1.1.c': dict(d=3)}
