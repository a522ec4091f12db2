"""What a Runner is set to do, read from real ones."""

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from prepared_runs import Stop, neighbor_hook_of, prepared
from torch.utils.data import BatchSampler
from training_runs import BATCH, STEPS, N, P, hook_cfg, model_cfg

from clim_mm.errors import ConfigError
from clim_mm.preflight.settings import RefreshSettings, read_settings, steps_per_epoch

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
    assert settings.schedules == ('CosineAnnealingLR', ) and settings.lr_rule is None
    assert settings.queue_len == 24
    assert settings.momentum == pytest.approx(0.5)
    assert (settings.checkpoint_interval, settings.max_keep_ckpts) == (1, -1)
    assert settings.refresh == RefreshSettings(
        interval=2, begin=1, num_refreshes=3, num_clusters=4, num_neighbors=6, num_positives=P, strategy='center_wise',
        whitened=False, exact=False, nprobe=3, from_bank=False)


def test_batch_statistics(folder, tmp_path):
    assert [read(folder, tmp_path, model=model_cfg(bn_splits=splits)).leaks_positives for splits in (1, 4)] == [
        True, False]
    assert not read(folder, tmp_path, model=model_cfg(bn_splits=1), processes=2).leaks_positives
    without = model_cfg(bn_splits=1)
    without['backbone'] = dict(without['backbone'], norm_cfg=dict(type='GN', num_groups=2))
    assert not read(folder, tmp_path, model=without).leaks_positives


@pytest.mark.parametrize('mean, std, unit', [
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), True), ((0.5, ) * 3, (0.5, ) * 3, True),
    ((0, 0, 0), (1, 1, 1), False), ((0, 0, 0), (255, ) * 3, False), ((123.675, 116.28, 103.53), (58, 57, 57), False)])
def test_a_normalisation_of_values_from_0_to_1(folder, tmp_path, mean, std, unit):
    model = model_cfg()
    model['data_preprocessor'] = dict(model['data_preprocessor'], mean=mean, std=std)
    assert read(folder, tmp_path, model=model).unit_values is unit


def test_a_training_of_other_processes_than_run(folder, tmp_path):
    settings = read(folder, tmp_path, processes=5)
    assert (settings.processes, settings.local_processes) == (5, 5)
    assert settings.steps == 0, 'each process has 5 images, and a batch 8'
    assert settings.images_per_step == 5 * BATCH
    assert read(folder, tmp_path, processes=3).steps == 1


@pytest.mark.parametrize('rule, expected', [
    (dict(enable=False, base_batch_size=512, base_lr=0.06), (0.06, 512)), (dict(base_batch_size=32), (0.3, 32)),
    (dict(enable=False), None), (None, None)])
def test_the_rule_of_the_learning_rate(folder, tmp_path, rule, expected):
    cfg = Config(dict(auto_scale_lr=rule, optim_wrapper=dict(optimizer=dict(lr=0.3))))
    assert read(folder, tmp_path, cfg=cfg).lr_rule == expected


@pytest.mark.parametrize('rule', [dict(base_batch_size=0), dict(base_batch_size=32, base_lr='a')])
def test_a_rule_out_of_range(folder, tmp_path, rule):
    cfg = Config(dict(auto_scale_lr=rule, optim_wrapper=dict(optimizer=dict(lr=0.3))))
    with pytest.raises(ConfigError, match='auto_scale_lr.base_'):
        read(folder, tmp_path, cfg=cfg)


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
    assert settings.queue_len == 24 and settings.momentum == pytest.approx(0.5)
    assert settings.refresh is None and settings.leaks_positives


def test_a_model_without_queue(folder, tmp_path):
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 3)

        def train_step(self, data, optim_wrapper):
            """Never called."""

    settings = read_settings(prepared(folder, tmp_path, num_workers=0, model=Plain(), custom_hooks=[Stop()]))
    assert settings.queue_len is None and settings.momentum is None and not settings.leaks_positives
    assert settings.trainable_bytes == settings.model_bytes == 4 * (2 * 3 + 3)


def test_bytes_of_a_model(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0, model=model_cfg(queue_len=50))
    settings, model = read_settings(runner), runner.model
    assert settings.trainable_bytes == 4 * sum(
        p.numel() for p in [*model.backbone.parameters(), *model.neck.parameters()])
    in_checkpoint = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert in_checkpoint <= settings.model_bytes < in_checkpoint + 100, 'means and deviations of images are not in it'


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
