"""Errors of others, told by the setting that they come from: real Runners on a small config, changed in one place."""

import copy
import itertools
import os
import resource

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmselfsup.models.necks import MoCoV2Neck
from training_runs import hook_cfg, model_cfg, pairs_cfg

from clim_mm.launch.config_errors import dicts_below, explain
from clim_mm.registry import HOOKS, MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')
NUMBERS = itertools.count()


@HOOKS.register_module()
class Stumbling(Hook):
    """Fails at its work, at once or after the first step."""

    def __init__(self, step):
        self.step = step

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        if runner.iter == self.step:
            raise LookupError('where am I?')


@MODELS.register_module()
class StumblingNeck(MoCoV2Neck):
    """Cannot be trained."""

    def forward(self, features):  # noqa: D102
        if self.training:
            raise LookupError('where am I?')
        return super().forward(features)


@HOOKS.register_module()
class Full(Hook):
    """Opens files until no further one can be opened."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.close(lowest_free := os.open(os.devnull, os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limit[1]))
        try:
            open(os.devnull)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)


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


def explained(settings, path=None, value=None):
    """The sentence on the error that a training with one other setting ends with."""
    changed = copy.deepcopy(settings)
    *above, last = path.split('.')
    owner = changed
    for key in above:
        owner = owner[int(key) if key.isdecimal() else key]
    owner[int(last) if last.isdecimal() else last] = value
    with pytest.raises(Exception) as caught:
        Runner.from_cfg(Config(changed)).train()
    return explain(caught.value)


VIEW = 'train_dataloader.dataset.pipeline.0.view.0'


LEAVE = ': correct it, or leave it out.'
CORRECT = '.'
HOOK = 'custom_hooks.0 (CenterWiseNeighborHook)'


@pytest.mark.parametrize('path, value, sentence', [
    ('custom_hooks.0.intervl', 3, f'{HOOK} has no setting \'intervl\' (did you mean \'interval\'?){LEAVE}'),
    ('custom_hooks.0', dict(type='CenterWiseNeighborHook'), f'{HOOK} lacks \'extract\': set it.'),
    ('custom_hooks.0.type', 'CenterWiseHook', 'custom_hooks.0.type=\'CenterWiseHook\' names nothing that is registered '
     '(did you mean \'CenterWiseNeighborHook\'?): correct it.'),
    ('custom_hooks', 3, f'custom_hooks cannot be set up (TypeError: \'int\' object is not iterable){CORRECT}'),
    ('model.head.temprature', 3, 'model.head (MixedContrastiveHead) has no setting \'temprature\' (did you mean '
     f'\'temperature\'?){LEAVE}'),
    ('model.backbone.depth', 19, 'model.backbone (ResNet) cannot be set up (KeyError: \'invalid depth 19 for '
     f'resnet\'){CORRECT}'),
    ('optim_wrapper.optimizer.lr', 'a', 'optim_wrapper.optimizer (SGD) cannot be set up (TypeError: \'<\' not '
     f'supported between instances of \'str\' and \'float\'){CORRECT}'),
    ('train_dataloader.batch_sze', 4, 'train_dataloader has no setting \'batch_sze\' (did you mean \'batch_size\'?)'
     f'{LEAVE}'),
    ('train_dataloader.num_workers', -1, 'train_dataloader cannot be set up (ValueError: num_workers option should be '
     f'non-negative; use num_workers=0 to disable multiprocessing.){CORRECT}'),
    ('randomness.sed', 4, f'randomness has no setting \'sed\' (did you mean \'seed\'?){LEAVE}'),
    (f'{VIEW}.transforms.0.prb', 1, f'{VIEW}.transforms.0 (RandomFlip) has no setting \'prb\' (did you mean '
     f'\'prob\'?){LEAVE}'),
    ('train_cfg', dict(type='EpochBasedTrainLoop'), 'train_cfg (EpochBasedTrainLoop) lacks \'max_epochs\': set it.'),
])
def test_the_setting_is_named(settings, path, value, sentence):
    assert explained(settings, path, value) == sentence


def test_a_module_that_fails_in_the_first_step_is_named(settings):
    assert explained(settings, 'model.neck.type', 'StumblingNeck') == (
        'model.neck (StumblingNeck) fails (LookupError: where am I?).')


def test_a_hook_that_fails_in_the_first_step_is_named(settings):
    hooks = [settings['custom_hooks'][0], dict(type='Stumbling', step=0)]
    assert explained(settings, 'custom_hooks', hooks) == (
        'custom_hooks.1 (Stumbling) fails (LookupError: where am I?).')


def test_later_errors_are_not_explained(settings):
    hooks = [settings['custom_hooks'][0], dict(type='Stumbling', step=1)]
    assert explained(settings, 'custom_hooks', hooks) is None


def test_errors_from_elsewhere_are_not_explained():
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    assert explain(caught.value) is None


def test_a_checkpoint_that_cannot_be_taken_up(settings, tmp_path):
    torch.save(dict(state_dict={}, meta=3), tmp_path / 'odd.pth')
    settings['resume'] = True
    found = explained(settings, 'load_from', str(tmp_path / 'odd.pth'))
    assert found.startswith(f'The checkpoint {tmp_path}/odd.pth cannot be taken up (TypeError: ')


def test_all_dicts_and_their_places():
    nested = dict(a=[dict(b=1), (2, dict(c=dict(d=3)))], e=4)
    assert dict(dicts_below(nested)) == {'': nested, 'a.0': dict(b=1), 'a.1.1': dict(c=dict(d=3)), 'a.1.1.c': dict(d=3)}


def test_the_loader_that_cannot_be_set_up_is_the_one_named(settings):
    settings.update(val_cfg=dict(type='ValLoop'), val_evaluator=[])
    loader = dict(settings['train_dataloader'], batch_sze=2)
    assert explained(settings, 'val_dataloader', loader).startswith('val_dataloader has no setting \'batch_sze\'')


def test_what_the_machine_has_done_is_no_fault_of_a_setting(settings):
    hooks = [settings['custom_hooks'][0], dict(type='Full')]
    assert 'ulimit -n' in explained(settings, 'custom_hooks', hooks)
