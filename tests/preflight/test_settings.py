"""What a Runner is set to do, read from real ones."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from prepared_runs import Stop, neighbor_hook_of, prepared
from torch import nn
from torch.utils.data import BatchSampler
from training_runs import BATCH, STEPS, N, P, hook_cfg, model_cfg

from clim_mm.preflight.settings import (
    ModelSizes,
    RefreshSettings,
    Schedule,
    read_settings,
    schedules_of,
    sizes_of,
    steps_per_epoch,
)
from clim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')

MOCO = model_cfg(
    type='clim_mm.MoCo', head=dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss')))


def read(folder, work_dir, processes=None, **kwargs):
    runner = prepared(folder, work_dir, num_workers=0, **kwargs)
    return read_settings(runner, neighbor_hook_of(runner), processes)


def test_the_settings_of_a_run(folder, tmp_path):
    settings = read(
        folder, tmp_path, epochs=6, hook=hook_cfg(begin=1, exact=False, nprobe=3), checkpoints=True,
        param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=True)])
    assert (settings.num_images, settings.batch_size, settings.steps, settings.max_epochs) == (N, BATCH, STEPS, 6)
    assert (settings.processes, settings.local_processes, settings.accumulation, settings.start_epoch) == (1, 1, 1, 0)
    assert (settings.num_workers, settings.images_per_step) == (0, BATCH)
    assert (settings.optimizer, settings.lr) == ('SGD', 0.5)
    assert settings.schedules == (Schedule('CosineAnnealingLR', True, 0, 6, 6), )
    assert (settings.model, settings.batch_norm, settings.queue_len, settings.key_dim) == ('CLIM', True, 24, 16)
    assert settings.momentum == pytest.approx(0.5)
    assert (settings.checkpoint_interval, settings.max_keep_ckpts) == (1, -1)
    assert settings.refresh == RefreshSettings(
        interval=2, begin=1, num_refreshes=3, num_clusters=4, num_neighbors=6, num_positives=P, strategy='center_wise',
        exact=False, nprobe=3, layer='embedding', from_bank=False, num_workers=0)


def test_batch_statistics(folder, tmp_path):
    for splits in (1, 4):
        settings = read(folder, tmp_path, model=model_cfg(bn_splits=splits))
        assert settings.bn_splits == (splits if splits > 1 else None)
    norm = dict(type='GN', num_groups=2)
    without = model_cfg()
    without['backbone'] = dict(without['backbone'], norm_cfg=norm)
    assert not read(folder, tmp_path, model=without).batch_norm


@pytest.mark.parametrize('mean, std, unit', [
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), True), ((0.5, ) * 3, (0.5, ) * 3, True),
    ((0, 0, 0), (1, 1, 1), False), ((0, 0, 0), (255, ) * 3, False), ((123.675, 116.28, 103.53), (58, 57, 57), False)])
def test_a_normalisation_of_values_from_0_to_1(folder, tmp_path, mean, std, unit):
    model = model_cfg()
    model['data_preprocessor'] = dict(model['data_preprocessor'], mean=mean, std=std)
    assert read(folder, tmp_path, model=model).unit_values is unit


def test_a_training_of_other_processes_than_run(folder, tmp_path):
    cfg = Config(dict(model=dict(bn_splits=4)))
    settings = read(folder, tmp_path, processes=5, cfg=cfg)
    assert (settings.processes, settings.local_processes) == (5, 5)
    assert settings.steps == 0, 'each process has 5 images, and a batch 8'
    assert settings.images_per_step == 5 * BATCH and settings.bn_splits == 4
    assert read(folder, tmp_path, processes=3, cfg=Config(dict(model=dict()))).bn_splits is None
    assert read(folder, tmp_path, processes=3).steps == 1


def test_accumulated_batches(folder, tmp_path):
    optim_wrapper = dict(accumulative_counts=3, optimizer=dict(type='SGD', lr=0.5))
    model = model_cfg(queue_len=3 * BATCH)
    settings = read(folder, tmp_path, optim_wrapper=optim_wrapper, model=model, cfg=Config(
        dict(optim_wrapper=optim_wrapper)))
    assert settings.accumulation == 3 and settings.images_per_step == 3 * BATCH


def test_the_rate_before_a_schedule(folder, tmp_path):
    warm_up = [dict(type='LinearLR', start_factor=0.1, begin=0, end=1, by_epoch=True)]
    runner = prepared(folder, tmp_path, num_workers=0, epochs=2, param_scheduler=warm_up)
    assert runner.optim_wrapper.param_groups[0]['lr'] == pytest.approx(0.05)
    assert read_settings(runner).lr == 0.5


def test_checkpoints_by_iteration(folder, tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=6, max_keep_ckpts=2))
    settings = read(folder, tmp_path, default_hooks=hooks)
    assert (settings.checkpoint_interval, settings.max_keep_ckpts) == (2.0, 2)


def test_no_checkpoints(folder, tmp_path):
    assert read(folder, tmp_path).checkpoint_interval is None
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=-1))
    assert read(folder, tmp_path, default_hooks=hooks).checkpoint_interval is None


def test_the_baseline(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0, model=MOCO, custom_hooks=[Stop()])
    settings = read_settings(runner)
    assert (settings.model, settings.queue_len, settings.key_dim) == ('MoCo', 24, 16)
    sizes = settings.model_sizes
    assert settings.momentum == pytest.approx(0.5) and sizes.queue == 24 * 16 * 4
    assert sizes.momentum_encoder == sizes.trainable
    assert settings.refresh is None and settings.bn_splits is None


def test_a_model_without_queue(folder, tmp_path):
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 3)

        def train_step(self, data, optim_wrapper):
            """Never called."""

    settings = read_settings(prepared(folder, tmp_path, num_workers=0, model=Plain(), custom_hooks=[Stop()]))
    assert (settings.queue_len, settings.key_dim, settings.momentum, settings.bn_splits) == (None, ) * 4
    assert settings.model_sizes.trainable == 4 * (2 * 3 + 3) and not settings.batch_norm


def test_bytes_of_a_model():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False).requires_grad_(False).half())
    # 16 + 8 float32; 8 float16; the statistics, 8 float32, and an int64 count.
    assert sizes_of(model) == ModelSizes(trainable=96, momentum_encoder=0, queue=0, other=56)
    assert sizes_of(model).total == 152


def test_the_momentum_encoder_is_as_large_as_the_encoder():
    with DefaultScope.overwrite_default_scope('clim_mm'):
        model = MODELS.build(model_cfg(queue_len=50))
    sizes = sizes_of(model)
    assert sizes.trainable == sizes.momentum_encoder == 4 * sum(p.numel() for p in [*model.backbone.parameters(),
                                                                          *model.neck.parameters()])
    assert sizes.queue == 16 * 50 * 4
    in_checkpoint = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert in_checkpoint <= sizes.total < in_checkpoint + 100, 'means and deviations of the images are not in it'


def built(**cfg):
    """A scheduler of a training of 20 epochs, with the end that the Runner gives it."""
    wrapper = build_optim_wrapper(nn.Linear(1, 1), dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)))
    return PARAM_SCHEDULERS.build(dict(dict(end=20), **cfg), default_args=dict(optimizer=wrapper, epoch_length=10))


@pytest.mark.parametrize('cfg, expected', [
    (dict(type='CosineAnnealingLR'), Schedule('CosineAnnealingLR', True, 0, 20, 20)),
    (dict(type='CosineAnnealingLR', T_max=15, begin=2), Schedule('CosineAnnealingLR', True, 2, 20, 17)),
    (dict(type='CosineAnnealingLR', convert_to_iter_based=True), Schedule('CosineAnnealingLR', False, 0, 200, 200)),
    (dict(type='MultiStepLR', milestones=[12, 16], begin=1), Schedule('MultiStepLR', True, 1, 20, None, (13, 17))),
    (dict(type='StepLR', step_size=8), Schedule('StepLR', True, 0, 20, None, (8, ))),
    (dict(type='LinearLR', start_factor=0.1, end=5), Schedule('LinearLR', True, 0, 5)),
])
def test_a_schedule(cfg, expected):
    assert schedules_of([built(**cfg)]) == (expected, )


def test_only_those_of_the_learning_rate():
    schedulers = [built(type='CosineAnnealingMomentum'), built(type='CosineAnnealingLR')]
    assert [schedule.name for schedule in schedules_of(schedulers)] == ['CosineAnnealingLR']


def test_no_schedule():
    assert schedules_of(None) == schedules_of([]) == ()


@pytest.mark.parametrize('num_images', [1, 7, 24, 25, 203])
@pytest.mark.parametrize('processes', [1, 2, 3])
@pytest.mark.parametrize('drop_last', [True, False])
def test_steps_are_those_of_the_framework(num_images, processes, drop_last):
    sampler = DefaultSampler(range(num_images))
    # As its last process sees it: MMEngine reads the number of processes from the process group.
    sampler.rank, sampler.world_size = processes - 1, processes
    sampler.num_samples = -(-num_images // processes)
    steps = len(BatchSampler(range(sampler.num_samples), 8, drop_last))
    assert steps_per_epoch(num_images, 8, processes, drop_last) == steps


def test_steps_of_imagenet_and_of_a_set_below_one_batch():
    assert steps_per_epoch(1_281_167, 32, 16, drop_last=True) == 2502
    assert steps_per_epoch(1_281_167, 32, 16, drop_last=False) == 2503
    assert steps_per_epoch(31, 32, 1, drop_last=True) == 0
