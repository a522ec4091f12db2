"""Checkpoints that could not be resumed from are refused at the launch."""

import pytest
from mmengine.config import Config

from clim_mm.errors import ConfigError
from clim_mm.launch.launch_checks import check_config


def config(checkpoint=None, custom=(), model='CLIM', **train_cfg):
    return Config(
        dict(
            model=dict(type=model, queue_len=64), train_cfg=dict(dict(by_epoch=True, max_epochs=2), **train_cfg),
            default_hooks=dict(checkpoint=checkpoint), custom_hooks=list(custom)))


@pytest.mark.parametrize('hook', [
    None, dict(type='CheckpointHook'), dict(type='CheckpointHook', interval=5, max_keep_ckpts=2),
    dict(type='CheckpointHook', by_epoch=True, max_keep_ckpts=-1)])
def test_good_ones_pass(hook):
    check_config(config(hook), world_size=1)


REFUSED = [(dict(type='CheckpointHook', by_epoch=False, interval=100), 'by_epoch=False saves in the middle of epochs'),
           (dict(type='CheckpointHook', max_keep_ckpts=1), 'max_keep_ckpts=1 deletes the only checkpoint before')]


@pytest.mark.parametrize('hook, words', REFUSED)
@pytest.mark.parametrize('model', ['CLIM', 'clim_mm.CLIM'])
def test_bad_ones_are_refused(hook, words, model):
    for cfg in (config(hook, model=model), config(custom=[dict(type='EMAHook'), hook], model=model)):
        with pytest.raises(ConfigError, match=f'CheckpointHook.{words}'):
            check_config(cfg, world_size=1)
    cfg = config(hook)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3)
    with pytest.raises(ConfigError, match=words):
        check_config(cfg, world_size=1)


@pytest.mark.parametrize('hook', [hook for hook, _ in REFUSED])
def test_those_of_other_models_are_their_own_matter(hook):
    check_config(config(hook, model='mmselfsup.MixMIM'), world_size=1)


def test_a_loop_of_iterations_saves_by_iteration():
    hook = dict(type='CheckpointHook', by_epoch=False)
    check_config(config(hook, by_epoch=False), world_size=1)
    cfg = config(hook)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    check_config(cfg, world_size=1)
