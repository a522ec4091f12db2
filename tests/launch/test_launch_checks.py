"""What is wrong with a config is said before anything is built."""

import os
import subprocess
import sys

import pytest
from mmengine.config import Config
from pure_python_mmcv import write_pure_python_mmcv

from clim_mm.errors import ConfigError
from clim_mm.launch.launch_checks import check_config

OF_PAIRS = ('CenterWiseNeighborHook', 'EpochRandomnessHook', 'QuarantineHook')


def config(hooks=OF_PAIRS, dataset='NeighborPairs', model='CLIM', batch_size=32, **model_options):
    return Config(
        dict(
            default_scope='clim_mm',
            model=dict(type=model, **model_options),
            train_dataloader=dict(batch_size=batch_size, dataset=dict(type=dataset)),
            custom_hooks=[dict(type=hook) for hook in hooks]))


@pytest.mark.parametrize('prefix', ['', 'clim_mm.'])
def test_a_good_config_passes(prefix):
    hooks = ['EMAHook', *(f'{prefix}{hook}' for hook in OF_PAIRS)]
    check_config(config(hooks, f'{prefix}NeighborPairs', f'{prefix}CLIM', queue_len=512), world_size=16)


@pytest.mark.parametrize('cfg', [
    dict(),
    dict(default_scope='mmcls', model=dict(type='ImageClassifier'), custom_hooks=None),
    dict(train_dataloader=dict(batch_size=8, dataset=dict(type='mmcls.ImageNet'))),
    dict(model=dict(type='CLIM', queue_len=4)),
])
def test_configs_of_others_pass(cfg):
    check_config(Config(cfg), world_size=64)


@pytest.mark.parametrize('dataset', ['NeighborPairs', 'clim_mm.NeighborPairs'])
@pytest.mark.parametrize('hooks', [(), ('EMAHook', ), ('mmselfsup.CenterWiseNeighborHook', )])
def test_pairs_without_the_hook_are_refused(hooks, dataset):
    with pytest.raises(ConfigError, match='is a NeighborPairs, but no CenterWiseNeighborHook in custom_hooks'):
        check_config(config(hooks, dataset), world_size=1)


@pytest.mark.parametrize('missing', OF_PAIRS)
def test_pairs_need_each_of_their_hooks(missing):
    cfg = config([hook for hook in OF_PAIRS if hook != missing])
    with pytest.raises(ConfigError, match=f'is a NeighborPairs, but no {missing} in custom_hooks or default_hooks'):
        check_config(cfg, world_size=1)
    cfg.default_hooks = dict(mine=dict(type=missing))
    check_config(cfg, world_size=1)


def test_pairs_without_any_custom_hooks_are_refused():
    cfg = config()
    for value in (None, []):
        cfg.custom_hooks = value
        with pytest.raises(ConfigError, match='no CenterWiseNeighborHook'):
            check_config(cfg, world_size=1)
    cfg.pop('custom_hooks')
    with pytest.raises(ConfigError, match='no CenterWiseNeighborHook'):
        check_config(cfg, world_size=1)


def deferring(on_device, preprocessor, dataset='NeighborPairs', pack='PackPair'):
    cfg = config(dataset=dataset, data_preprocessor=preprocessor)
    view = [dict(type='MultiRes', resolutions=(16, 12), on_device=on_device)]
    cfg.train_dataloader.dataset.pipeline = [dict(type='PairViews', view=view), dict(type=pack)]
    return cfg


@pytest.mark.parametrize('prefix', ['', 'clim_mm.'])
def test_deferred_views_are_finished_by_the_preprocessor(prefix):
    good = dict(type=f'{prefix}DeviceViews', mean=(1, 2, 3))
    check_config(deferring(True, good), world_size=1)
    check_config(deferring(False, good), world_size=1)
    check_config(deferring(False, None), world_size=1)


@pytest.mark.parametrize('preprocessor', [None, dict(mean=(1, 2, 3)), dict(type='mmselfsup.SelfSupDataPreprocessor')])
def test_deferred_views_that_nobody_finishes_are_refused(preprocessor):
    with pytest.raises(ConfigError, match='set model.data_preprocessor.type to "DeviceViews" instead of '):
        check_config(deferring(True, preprocessor), world_size=1)


@pytest.mark.parametrize('changed', [dict(dataset='ImageFolder'), dict(pack='mmselfsup.PackSelfSupInputs')])
def test_only_pairs_can_be_deferred(changed):
    with pytest.raises(ConfigError, match='needs a NeighborPairs whose pipeline ends with PackPair'):
        check_config(deferring(True, dict(type='DeviceViews'), **changed), world_size=1)


@pytest.mark.parametrize('model', ['CLIM', 'clim_mm.CLIM'])
@pytest.mark.parametrize('queue_len, batch_size, world_size, fits', [
    (512, 32, 16, True),
    (511, 32, 16, False),
    (32, 32, 1, True),
    (32, 33, 1, False),
    ('default', 4096, 16, True),
    ('default', 4097, 16, False),
    (None, 4097, 16, True),
])
def test_the_queue_must_hold_one_steps_keys(queue_len, batch_size, world_size, fits, model):
    options = {} if queue_len == 'default' else dict(queue_len=queue_len)
    cfg = config(model=model, batch_size=batch_size, **options)
    if fits:
        check_config(cfg, world_size)
        return
    keys = batch_size * world_size
    complaint = (f'model.queue_len={options.get("queue_len", 65536)} is too short for the {keys} keys of one step '
                 f'\\({batch_size} images on {world_size} processes\\): set it to at least {keys}')
    with pytest.raises(ConfigError, match=complaint):
        check_config(cfg, world_size)


def test_the_positives_keys_count_if_they_enter_the_queue():
    check_config(config(queue_len=64, batch_size=8, enqueue_positives=True), world_size=4)
    with pytest.raises(ConfigError, match='model.queue_len=63 is too short for the 64 keys of one step'):
        check_config(config(queue_len=63, batch_size=8, enqueue_positives=True), world_size=4)


def test_the_queue_of_another_model_is_its_own_matter():
    check_config(config(model='mmselfsup.MoCo', queue_len=3), world_size=4)


@pytest.mark.e2e
def test_mmdetection_needs_compiled_operators(tmp_path):
    write_pure_python_mmcv(tmp_path)
    code = ('from mmengine.config import Config\nfrom clim_mm.errors import MissingDependencyError\n'
            'from clim_mm.launch.launch_checks import check_config\n'
            'try:\n    check_config(Config(dict(default_scope="mmdet", model=dict(type="FasterRCNN"))), 1)\n'
            'except MissingDependencyError as error:\n    print(error)')
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                            env=dict(os.environ, PYTHONPATH=path))
    assert 'mmcv has none' in result.stdout and 'onedl-mmcv==2.3.6' in result.stdout
