"""Settings that MMEngine and torch would take as they are, and what is not installed."""

import copy
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from pure_python_mmcv import write_pure_python_mmcv

from clim_mm.errors import ConfigError
from clim_mm.launch.config_checks import check_config

ROOT = Path(__file__).parents[2]
GOOD = dict(
    model=dict(type='CLIM', data_preprocessor=dict(bgr_to_rgb=True)),
    train_dataloader=dict(
        batch_size=4, num_workers=0, drop_last=True, collate_fn=dict(type='clim_mm.stack_collate'),
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(type='NeighborPairs', pipeline=[dict(type='RandomFlip', prob=0.5)])),
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=3),
    optim_wrapper=dict(accumulative_counts=2, optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0)),
    default_hooks=dict(
        logger=dict(interval=5), checkpoint=dict(
            type='CheckpointHook', interval=-1, save_best='auto', priority='LOW', max_keep_ckpts=-1, by_epoch=True)),
    randomness=dict(seed=None, deterministic=False),
    compile=dict(backend='eager', dynamic=False),
    param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=3), dict(type='CosineAnnealingLR', T_max=5)],
    env_cfg=dict(cudnn_benchmark=True, mp_cfg=dict(mp_start_method='fork')),
    work_dir='here')
GONE = object()


def changed(path, value):
    cfg = copy.deepcopy(GOOD)
    *above, last = path.split('.')
    owner = cfg
    for key in above:
        owner = owner.setdefault(key, {})
    if value is GONE:
        del owner[last]
    else:
        owner[last] = value
    return Config(cfg)


def test_good_settings_pass():
    check_config(Config(GOOD))


@pytest.mark.parametrize('path', sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/*.py')
                                        if path.parent.name not in ('_base_', 'studies')))
def test_the_configs_pass(path):
    check_config(Config.fromfile(ROOT / path))


@pytest.mark.parametrize('path, value, words', [
    ('train_dataloader.batch_size', 0, 'train_dataloader.batch_size must be a whole number of at least 1, not 0.'),
    ('train_dataloader.batch_size', GONE, 'train_dataloader lacks \'batch_size\', and torch would take 1'),
    ('train_dataloader.sampler', GONE, 'train_dataloader lacks \'sampler\''),
    ('train_dataloader.sampler', None, 'train_dataloader.sampler must be a dict, not None'),
    ('train_dataloader.sampler.shuffle', 'no', 'sampler.shuffle must be True or False, not \'no\''),
    ('train_dataloader.sampler.type', 'InfiniteSampler', 'InfiniteSampler" never ends an epoch'),
    ('train_dataloader.num_workers', 10**6, 'num_workers must be a whole number from 0 to 1024'),
    ('test_dataloader', dict(num_workers=-1), 'test_dataloader.num_workers must be a whole number from 0'),
    ('optim_wrapper.optimizer', GONE, 'optim_wrapper lacks \'optimizer\''),
    ('model.data_preprocessor.std', (0, 1, 1), 'each value of model.data_preprocessor.std .* above 0, not 0'),
    ('train_dataloader.dataset', GONE, 'train_dataloader lacks \'dataset\''),
    ('train_dataloader.dataset.pipeline', [dict(prob=1.5)], 'pipeline.0.prob must be a number .* not 1.5'),
    ('train_cfg', None, 'The config lacks train_cfg'),
    ('model', GONE, 'The config lacks model'),
    ('train_cfg.max_epochs', True, 'train_cfg.max_epochs must be a whole number of at least 1, not True'),
    ('optim_wrapper.optimizer.lr', math.nan, 'optimizer.lr must be a number above 0, not nan'),
    ('optim_wrapper.optimizer.lr', GONE, 'optim_wrapper.optimizer lacks \'lr\', and torch would take 0.001'),
    ('default_hooks.checkpoint.interval', 0, 'checkpoint.interval=0 never saves: set it to at least 1'),
    ('default_hooks.checkpoint.max_keep_ckpts', 1, 'max_keep_ckpts=1 deletes the only checkpoint before'),
    ('default_hooks.checkpoint.by_epoch', False, 'checkpoint.by_epoch=False saves in the middle of epochs'),
    ('default_hooks.checkpoint.intervl', 3, 'no setting \'intervl\' .did you mean \'interval\'?.'),
    ('default_hooks.logger.interval', '5', 'logger.interval must be a whole number of at least 1, not \'5\''),
    ('param_scheduler', [dict(type='CosineAnnealingLR', T_max=0)], '0.T_max must be .* at least 1 or None'),
    ('param_scheduler', dict(type='CosineAnnealingLR', eta_min='a'), 'param_scheduler.eta_min must be a finite number'),
    ('param_scheduler', [dict(type='MultiStepLR', end=2.5)], 'param_scheduler.0.end must be a whole number'),
    ('custom_hooks', 3, 'custom_hooks must be a list, not 3'),
    ('randomness.seed', -1, 'randomness.seed must be a whole number from 0 to 4294967295 or None, not -1'),
    ('env_cfg.cudnn_benchmrk', True, 'env_cfg has no setting \'cudnn_benchmrk\' .did you mean \'cudnn_benchmark\'?.'),
    ('train_dataloder', {}, 'The config has train_dataloder, which nothing reads .did you mean \'train_dataloader\'?.'),
    ('optimwrapper', {}, 'nothing reads .did you mean \'optim_wrapper\'?.'),
])
def test_bad_settings_are_refused(path, value, words):
    with pytest.raises(ConfigError, match=words):
        check_config(changed(path, value))


@pytest.mark.parametrize('name', ['photometric', 'source', 'data_root', 'train_pipeline', 'crop', 'optimizer'])
def test_names_of_ones_own_are_free(name):
    check_config(changed(name, 3))


def test_a_loop_by_iterations_may_sample_for_ever_and_saves_by_iteration():
    cfg = changed('train_dataloader.sampler.type', 'InfiniteSampler')
    cfg.default_hooks.checkpoint.by_epoch = False
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=9)
    check_config(cfg)


def deferring(on_device, preprocessor):
    cfg = changed('model.data_preprocessor', preprocessor)
    view = [dict(type='MultiRes', resolutions=(16, 12), on_device=on_device)]
    cfg.train_dataloader.dataset.pipeline = [dict(type='PairViews', view=view), dict(type='PackPair')]
    return cfg


@pytest.mark.parametrize('prefix', ['', 'clim_mm.'])
def test_deferred_views_are_finished_by_the_preprocessor(prefix):
    good = dict(type=f'{prefix}DeviceViews', mean=(1, 2, 3))
    check_config(deferring(True, good))
    check_config(deferring(False, good))
    check_config(deferring(False, None))


@pytest.mark.parametrize('preprocessor', [None, dict(mean=(1, 2, 3)), dict(type='mmselfsup.SelfSupDataPreprocessor')])
def test_deferred_views_that_nobody_finishes_are_refused(preprocessor):
    with pytest.raises(ConfigError, match='set model.data_preprocessor.type to "DeviceViews" instead of '):
        check_config(deferring(True, preprocessor))


@pytest.mark.e2e
def test_mmdetection_needs_compiled_operators(tmp_path):
    write_pure_python_mmcv(tmp_path)
    code = ('from clim_mm.errors import MissingDependencyError\n'
            'from clim_mm.launch.config_checks import check_detection_packages\n'
            'try:\n    check_detection_packages()\n'
            'except MissingDependencyError as error:\n    print(error)')
    path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                            env=dict(os.environ, PYTHONPATH=path))
    assert 'mmcv has none: `bash tools/setup_det.sh` builds them' in result.stdout
