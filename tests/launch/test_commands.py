"""Configs from the command line."""

import argparse
import gc

import pytest

from clim_mm.config_file import load_config
from clim_mm.errors import DataError
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence


def test_the_arguments_reach_the_config(small_config):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    args = parser.parse_args(
        [small_config, '--work-dir', 'there', '--amp', '--cfg-options', 'train_cfg.max_epochs=5', 'model.a=(1,2)'])
    cfg = load_config(args.config, args.work_dir, args.amp, args.cfg_options, launcher='pytorch')
    assert (cfg.work_dir, cfg.launcher, cfg.train_cfg.max_epochs, cfg.model.a) == ('there', 'pytorch', 5, (1, 2))
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')


def test_errors_of_users_end_in_a_sentence():
    with pytest.raises(SystemExit) as end, errors_in_a_sentence():
        raise DataError('Mend it.')
    assert end.value.code == 'Error: Mend it.'
    with errors_in_a_sentence():
        pass


def test_other_errors_show_their_traceback_before_a_sentence(capsys):
    with pytest.raises(SystemExit) as end, errors_in_a_sentence():
        raise ValueError('a\nfault')
    assert end.value.code == 'Error: ValueError: a fault. The lines above show where that came from.'
    assert 'raise ValueError(\'a\\nfault\')' in capsys.readouterr().err


@pytest.mark.parametrize('argument', ['a', 'a=(1,2', 'a=[1,2))', 'a=dict(b="c", d=1)'])
def test_an_option_without_a_value(small_config, capsys, argument):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    with pytest.raises(SystemExit) as end:
        parser.parse_args([small_config, '--cfg-options', argument])
    assert end.value.code == 2
    assert f'error: argument --cfg-options: give KEY=VALUE, not {argument}' in capsys.readouterr().err


def test_what_is_there_already_is_out_of_the_garbage_collectors_sight():
    there = [[]]
    with errors_in_a_sentence():
        assert not any(found is there for found in gc.get_objects())
        new = [[]]
        assert any(found is new for found in gc.get_objects())
    assert not any(found is new for found in gc.get_objects()), 'the program ends here'
