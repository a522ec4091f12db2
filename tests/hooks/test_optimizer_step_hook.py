"""Runs of BYOL and C2BIN: the target moves once per optimizer step, small batches are refused, resumes are exact."""

import copy
import json

import numpy as np
import pytest
import torch
from exact_runs import as_launched, loader_cfg
from gloo import on_processes
from mmengine.hooks import Hook
from tiny_byol import neck_cfg
from training_runs import CHANNELS, model_cfg, runner_of

from clim_mm.errors import ConfigError
from clim_mm.preflight.rehearsal import Rehearsal
from clim_mm.preflight.settings import read_settings

pytestmark = pytest.mark.usefixtures('one_torch_thread')

TWO_VIEWS = [
    dict(type='LoadImage'),
    dict(type='mmselfsup.MultiView', num_views=2, transforms=[[
        dict(type='mmselfsup.RandomResizedCrop', size=16, backend='pillow')]]),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx', 'gt_label']),
]


def byol_cfg(**kwargs):
    common = {name: model_cfg()[name] for name in ('data_preprocessor', 'backbone')}
    return dict(
        common, type='BYOL', momentum=0.5, neck=neck_cfg(CHANNELS, 16, with_avg_pool=True),
        head=dict(
            type='mmselfsup.LatentPredictHead', predictor=neck_cfg(16, 16, with_avg_pool=False),
            loss=dict(type='mmselfsup.CosineSimilarityLoss', shift_factor=1.0)), **kwargs)


def c2bin_cfg(**kwargs):
    return dict(
        byol_cfg(), **dict(
            dict(
                type='C2BIN', cluster_head=dict(type='ClusterContrastHead', in_channels=CHANNELS),
                num_clusters=(2, 4)), **kwargs))


def byol_runner(folder, work_dir, epochs=1, model=None, accumulative_counts=1, more_hooks=(), pipeline=TWO_VIEWS,
                **overrides):
    """A Runner on the 24 images in batches of 8, with an OptimizerStepHook."""
    dataset = dict(
        type='ImageSamples', dataset=dict(type='mmcls.CustomDataset', data_root=str(folder)), pipeline=pipeline)
    return runner_of(
        folder, work_dir, epochs, hook=dict(type='OptimizerStepHook'), more_hooks=more_hooks,
        **dict(
            dict(
                model=model or byol_cfg(),
                train_dataloader=loader_cfg(copy.deepcopy(dataset), 8),
                optim_wrapper=dict(
                    optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=accumulative_counts)),
            **overrides))


class Steps(Hook):
    """Notes after each batch how often the target has moved."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.moved = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        self.moved.append(int(runner.model.encoder_k.steps))


@pytest.mark.parametrize('counts, moved', [(1, [1, 2, 3, 4, 5, 6]), (2, [1, 1, 2, 3, 3, 4]), (3, [1, 1, 1, 2, 2, 2])])
def test_the_target_moves_once_per_optimizer_step(folder, tmp_path, counts, moved):
    seen = Steps()
    byol_runner(folder, tmp_path, 2, accumulative_counts=counts, more_hooks=[seen]).train()
    assert seen.moved == moved


def test_a_batch_too_small_for_the_clusters_is_refused_before_the_training(folder, tmp_path):
    with pytest.raises(ConfigError, match='A batch of 8 images has 1.6 for each of the 5 clusters of the largest head'):
        byol_runner(folder, tmp_path, model=c2bin_cfg(num_clusters=(2, 5))).train()


def test_the_hook_needs_a_model_that_advances(folder, tmp_path):
    moco = model_cfg(
        type='clim_mm.MoCo', head=dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss')))
    with pytest.raises(ConfigError, match='OptimizerStepHook needs what moves once per optimizer step, as CLIM and'):
        byol_runner(folder, tmp_path, model=moco).train()


class Preflight(Hook):
    """What a preflight sees of a C2BIN."""

    priority = 'LOW'

    def before_train(self, runner):  # noqa: D102
        self.settings = read_settings(runner)
        self.fault_of_two = read_settings(runner, processes=2).batch_fault
        rehearsal, loader = Rehearsal(runner), runner.train_dataloader
        for _ in range(2):  # fewer images than clusters
            rehearsal.step(loader.collate_fn([loader.dataset[i] for i in range(2)]))
        self.steps = int(rehearsal.model.encoder_k.steps)


def test_what_the_preflight_sees(folder, tmp_path):
    seen = Preflight()
    byol_runner(folder, tmp_path, model=c2bin_cfg(), more_hooks=[seen]).train()
    assert seen.settings.batch_fault.startswith('A batch of 8 images has 2 for each of the 4 clusters')
    assert seen.settings.momentum == pytest.approx(0.5) and seen.fault_of_two == ''
    assert seen.steps == 2, 'each of its losses is a step'


def test_the_watchdog_judges_it(folder, tmp_path):
    runner = byol_runner(folder, tmp_path, model=c2bin_cfg(clustered_labels_only=True),
                         more_hooks=[dict(type='WatchdogHook', interval=3)])
    runner.train()
    line, = [json.loads(line) for line in (tmp_path / 'watchdog.jsonl').read_text().splitlines()]
    assert set(runner.model.health_rules.figures) <= set(line) and line['largest_cluster_head_2'] >= 0.5
    assert line['state'] in ('starting', 'healthy') and '4 clusters: largest' in line['reason']


@pytest.mark.e2e
def test_a_resumed_run_goes_on_as_if_undisturbed(folder, tmp_path):
    options = dict(model=c2bin_cfg(start_epoch=1), accumulative_counts=2)
    whole = byol_runner(folder, tmp_path / 'whole', 3, **options)
    whole.train()
    byol_runner(folder, tmp_path / 'parts', 3, checkpoints=True, **options).train()
    torch.manual_seed(99)
    resumed = byol_runner(folder, tmp_path / 'parts', 3, resume=True,
                          load_from=str(tmp_path / 'parts' / 'epoch_1.pth'), **options)
    resumed.train()
    expected = whole.model.state_dict()
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def train_on_this_process(folder, work_dir):
    """Train a C2BIN as one of several processes: 8 images in a batch, 2 batches in a step. The model's state."""
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=2)
    # As the images of two of the four classes had no label.
    pipeline = [TWO_VIEWS[0], without_label, *TWO_VIEWS[1:]]
    runner = byol_runner(folder, work_dir, 2, model=c2bin_cfg(start_epoch=1, clustered_labels_only=True),
                         pipeline=pipeline, **as_launched(optim_wrapper))
    runner.train()
    return {name: value.numpy() for name, value in runner.model.module.state_dict().items()}


def without_label(results):
    """Class 2 and 3 have none."""
    return dict(results, gt_label=-1) if results['gt_label'] > 1 else results


@pytest.mark.e2e
@pytest.mark.parametrize('size', [2, 3])
def test_processes_train_together(folder, tmp_path, size):
    first, *others = on_processes(size, train_on_this_process, folder, tmp_path)
    learned = [name for name in first if name.startswith('cluster_heads') or name.endswith('conv1.weight')]
    assert len(learned) > 8 and int(first['encoder_k.steps']) == 2, 'one step an epoch'
    for other in others:
        for name in learned:
            assert np.array_equal(first[name], other[name]), name
