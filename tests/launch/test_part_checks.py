"""Parts of a config that are not there, or do not take the settings that they are given."""

import copy
import itertools

import pytest
from mmengine.config import Config
from training_runs import hook_cfg, model_cfg, pairs_cfg

from clim_mm.errors import ConfigError
from clim_mm.launch.part_checks import check_parts

NUMBERS = itertools.count()


@pytest.fixture
def settings(class_folder, tmp_path):
    pairs = pairs_cfg(class_folder)
    pairs['pipeline'] = pairs['pipeline'][:-1]
    hook = hook_cfg(num_clusters=2)
    return dict(
        model=model_cfg(), work_dir=str(tmp_path), default_scope='clim_mm', log_level='ERROR',
        train_dataloader=dict(
            batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=pairs,
            collate_fn=dict(type='clim_mm.stack_collate')),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=1),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
        param_scheduler=[dict(type='CosineAnnealingLR')],
        custom_hooks=[hook], default_hooks=dict(checkpoint=None), randomness=dict(seed=1),
        experiment_name=f'config_errors_{next(NUMBERS)}')


def changed(settings, path, value):
    """The settings with another one."""
    changed = copy.deepcopy(settings)
    *above, last = path.split('.')
    owner = changed
    for key in above:
        owner = owner[int(key) if key.isdecimal() else key]
    owner[int(last) if last.isdecimal() else last] = value
    return dict(Config(changed).items())


VIEW = 'train_dataloader.dataset.pipeline.0.view.0'
LEAVE = ': correct it, or leave it out.'
HOOK = 'custom_hooks.0 (CenterWiseNeighborHook)'


def test_good_parts_pass(settings):
    check_parts(changed(settings, 'log_level', 'INFO'))


@pytest.mark.parametrize('path, value, sentence', [
    ('custom_hooks.0.intervl', 3, f'{HOOK} has no setting \'intervl\' (did you mean \'interval\'?){LEAVE}'),
    ('train_dataloader.dataset', dict(type='NeighborPairs', pipeline=[]),
     'train_dataloader.dataset (NeighborPairs) lacks \'dataset\': set it.'),
    ('custom_hooks.0.type', 'CenterWiseHook', 'custom_hooks.0.type=\'CenterWiseHook\' names nothing that is registered '
     '(did you mean \'CenterWiseNeighborHook\'?): correct it.'),
    ('custom_hooks.0', dict(interval=3), 'custom_hooks.0 lacks \'type\', the name of a class: set it.'),
    ('default_hooks.checkpoint', dict(type='CheckpointHook', intervl=3),
     f'default_hooks.checkpoint (CheckpointHook) has no setting \'intervl\' (did you mean \'interval\'?){LEAVE}'),
    ('model.head.temprature', 3, 'model.head (MixedContrastiveHead) has no setting \'temprature\' (did you mean '
     f'\'temperature\'?){LEAVE}'),
    ('model.backbone.type', 'mmselfsup.ResNett', 'model.backbone.type=\'mmselfsup.ResNett\' names nothing that is '
     'registered (did you mean \'mmselfsup.ResNet\'?): correct it.'),
    ('model.neck.type', 'Nonesuch', 'model.neck.type=\'Nonesuch\' names nothing that is registered: correct it.'),
    ('train_dataloader.batch_sze', 4, 'train_dataloader has no setting \'batch_sze\' (did you mean \'batch_size\'?)'
     f'{LEAVE}'),
    ('val_dataloader', dict(batch_sze=4), 'val_dataloader has no setting \'batch_sze\' (did you mean \'batch_size\'?)'
     f'{LEAVE}'),
    ('randomness.sed', 4, f'randomness has no setting \'sed\' (did you mean \'seed\'?){LEAVE}'),
    (f'{VIEW}.transforms.0.prb', 1, f'{VIEW}.transforms.0 (RandomFlip) has no setting \'prb\' (did you mean '
     f'\'prob\'?){LEAVE}'),
    (f'{VIEW}.transforms.0.type', 'RandomFlipp', f'{VIEW}.transforms.0.type=\'RandomFlipp\' names nothing that is '
     'registered (did you mean \'RandomFlip\'?): correct it.'),
    ('train_cfg', dict(type='EpochBasedTrainLoop'), 'train_cfg (EpochBasedTrainLoop) lacks \'max_epochs\': set it.'),
    ('optim_wrapper.optimizer.type', 'SGDD', 'optim_wrapper.optimizer.type=\'SGDD\' names nothing that is registered '
     '(did you mean \'SGD\'?): correct it.'),
    ('train_dataloader.collate_fn.type', 'clim_mm.stack_colate', 'train_dataloader.collate_fn.type='
     '\'clim_mm.stack_colate\' names nothing that is registered (did you mean \'clim_mm.stack_collate\'?): correct '
     'it.'),
    ('train_dataloader.collate_fn', dict(type=''), 'train_dataloader.collate_fn.type=\'\' names nothing that is '
     'registered: correct it.'),
])
def test_the_setting_is_named(settings, path, value, sentence):
    with pytest.raises(ConfigError) as refusal:
        check_parts(changed(settings, path, value))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize('path, value', [
    ('model.backbone.norm_cfg', dict(type='BN', requires_grad=True)),  # a builder of its own
    (f'{VIEW}.transforms.0', dict(type='Albu', transforms=[dict(type='RandomFlipp', p=1)])),
    ('param_scheduler.0.convert_to_iter_based', True),
    ('custom_hooks.0.priority', 'LOW'),
    ('optim_wrapper', dict(constructor='Mine', optimizer=dict(type='SGD', lr=0.1, model_type='vit'))),
    ('default_hooks.checkpoint', dict(type='CheckpointHook', backend_args=None, save_best='auto', priority='LOW')),
])
def test_what_others_look_at_is_left_to_them(settings, path, value):
    check_parts(changed(settings, path, value))
