"""What a Runner is set to do, read from real ones."""

import pytest
import torch
from mmengine.config import Config
from prepared_runs import Stop, neighbor_hook_of, prepared
from training_runs import BATCH, STEPS, N, P, hook_cfg, model_cfg

from clim_mm.preflight.schedules import Schedule
from clim_mm.preflight.settings import RefreshSettings, read_settings

pytestmark = pytest.mark.usefixtures('one_torch_thread')

MOCO = model_cfg(
    type='mmselfsup.MoCo', head=dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss')))


def read(folder, work_dir, processes=None, **kwargs):
    runner = prepared(folder, work_dir, num_workers=0, **kwargs)
    return read_settings(runner, neighbor_hook_of(runner), processes)


def test_the_settings_of_a_run(folder, tmp_path):
    settings = read(
        folder, tmp_path, epochs=6, hook=hook_cfg(begin=1, exact=False, nprobe=3), checkpoints=True,
        param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=True)])
    assert (settings.num_images, settings.batch_size, settings.steps, settings.max_epochs) == (N, BATCH, STEPS, 6)
    assert (settings.processes, settings.local_processes, settings.accumulation, settings.start_epoch) == (1, 1, 1, 0)
    assert (settings.num_workers, settings.drop_last, settings.images_per_step) == (0, True, BATCH)
    assert (settings.optimizer, settings.lr) == ('SGD', 0.5)
    assert settings.schedules == (Schedule('CosineAnnealingLR', True, 0, 6, 6), )
    assert (settings.model, settings.batch_norm, settings.queue_len, settings.key_dim) == ('CLIM', True, 24, 16)
    assert settings.momentum == pytest.approx(0.5) and not settings.queue_must_divide
    assert (settings.checkpoint_interval, settings.max_keep_ckpts) == (1, -1)
    assert settings.refresh == RefreshSettings(
        interval=2, begin=1, num_refreshes=3, num_clusters=4, num_neighbors=6, num_positives=P, strategy='center_wise',
        exact=False, nprobe=3, memory=2**28, layer='embedding', from_bank=False, num_workers=0)


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
    assert (settings.model, settings.queue_must_divide, settings.queue_len) == ('MoCo', True, 24)
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
