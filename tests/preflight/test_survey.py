"""A real training looked over: what is found, and that nothing has changed."""

import numpy as np
import pytest
import torch
from gloo import on_processes
from mmengine.config import Config
from mmengine.runner import Runner
from prepared_runs import Stop, assert_same, everything, neighbor_hook_of, prepared, trained_a_little
from training_runs import BATCH, CHANNELS, N, P, hook_cfg, model_cfg, pairs_cfg, write_images

from clim_mm.preflight import survey
from clim_mm.preflight.checks import PRETRAINING

pytestmark = pytest.mark.usefixtures('one_torch_thread')

MOCO = model_cfg(
    type='clim_mm.MoCo', head=dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss')))


def names(plan):
    return {finding.name for finding in plan.findings}


def test_what_is_found_and_that_nothing_changes(folder, tmp_path):
    runner = trained_a_little(prepared(folder, tmp_path, epochs=4, num_workers=0, checkpoints=True))
    positives = np.tile(np.arange(1, 1 + P, dtype=np.int32), (N, 1))
    runner.train_dataloader.dataset.table.publish(positives)
    before = everything(runner)
    plan = survey(runner, neighbor_hook_of(runner), seconds=1.0, lr_rule=PRETRAINING)
    assert_same(before, everything(runner))

    facts = plan.facts
    assert facts.images.opened == N and facts.images.unreadable == 0
    assert facts.images.smallest == facts.images.largest == (24, 20)
    measured = facts.measured
    assert measured.missing == '' and measured.busy_cores == 1
    assert 1 <= measured.loading.samples <= 8 and measured.loading.seconds > 0
    assert 2 <= measured.step.images <= BATCH and measured.step.seconds > 0
    trainable = facts.settings.model_sizes.trainable
    assert measured.step.optimizer_bytes == trainable == facts.forecast.optimizer_bytes
    assert measured.step.activation_bytes is None
    assert measured.extraction.dim == 16 and 0 < measured.extraction.encode < 5
    assert measured.search.search > 0
    assert facts.forecast.refresh.feature_bytes == N * 16 * 4
    assert facts.settings.refresh.num_refreshes == 2
    # The rate of 0.5 where the rule says 0.0009, and nothing else that does not depend on the machine's load.
    assert 'lr' in names(plan) and names(plan) <= {'lr', 'loading', 'refresh_share', 'momentum'}


def test_the_encoder_and_layer_of_the_hook_are_measured(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0, hook=hook_cfg(layer='pooled', encoder='query'))
    plan = survey(runner, neighbor_hook_of(runner), seconds=0.01)
    assert plan.facts.measured.extraction.dim == CHANNELS
    assert plan.facts.forecast.refresh.dim == CHANNELS


def baseline(folder, work_dir, **model):
    """MoCo on two views, six images in a batch."""
    views = dict(type='mmselfsup.MultiView', num_views=2, transforms=[[dict(type='Resize', scale=(16, 16))]])
    dataset = dict(pairs_cfg(folder)['dataset'], pipeline=[
        dict(type='LoadImageFromFile'), views, dict(type='mmselfsup.PackSelfSupInputs')])
    return prepared(
        folder, work_dir, model=dict(MOCO, **model), custom_hooks=[Stop()],
        default_hooks=dict(checkpoint=None),
        train_dataloader=dict(
            batch_size=6, num_workers=0, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'), dataset=dataset))


def test_the_baseline_has_no_refresh(folder, tmp_path):
    runner = trained_a_little(baseline(folder, tmp_path, queue_len=24))
    before = everything(runner)
    plan = survey(runner, seconds=0.01)
    assert_same(before, everything(runner))
    assert plan.facts.settings.refresh is None and plan.facts.forecast.refresh is None
    assert 2 <= plan.facts.measured.step.images <= 6
    assert 'batch_norm' in names(plan)


def test_a_queue_that_the_keys_of_a_step_do_not_divide(folder, tmp_path):
    runner = trained_a_little(baseline(folder, tmp_path, queue_len=23))
    before = everything(runner)
    assert survey(runner, seconds=0.01).facts.measured.step is not None
    assert_same(before, everything(runner))


def test_mmselfsups_own_queue_takes_whole_batches(folder, tmp_path):
    runner = trained_a_little(baseline(folder, tmp_path, queue_len=24, type='mmselfsup.MoCo'), steps=3)
    plan = survey(runner, seconds=1.0)
    assert plan.facts.measured.step.images == 6 and plan.facts.settings.queue_len is None


def test_an_unreadable_image_is_found_and_does_not_enter_the_quarantine(tmp_path):
    root = tmp_path / 'images'
    write_images(root, 9)
    for number in (1, 4):
        path = next(root.rglob(f'{number:02d}.png'))
        path.write_bytes(path.read_bytes()[:60])
    runner = prepared(root, tmp_path / 'work', num_workers=0)
    before = everything(runner)
    plan = survey(runner, neighbor_hook_of(runner), seconds=0.5)
    assert_same(before, everything(runner))
    assert plan.facts.images.unreadable == 2 and 'unreadable' in names(plan)
    assert plan.facts.measured.step is not None


def test_nothing_readable(tmp_path):
    root = tmp_path / 'images'
    write_images(root, 9)
    for path in root.rglob('*.png'):
        path.write_bytes(b'')
    plan = survey(prepared(root, tmp_path / 'work', num_workers=0), seconds=0.01)
    assert plan.facts.measured.step is None
    assert plan.facts.measured.missing == 'None of the images that were opened gives a sample.'
    assert 'unreadable' in names(plan) and 'not measured' in plan.table()


def test_a_model_that_cannot_be_copied(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0)
    runner.model.kept = runner.model.neck.mlp[0].weight * 2  # part of a graph
    plan = survey(runner, neighbor_hook_of(runner), seconds=0.01)
    assert plan.facts.measured.missing.startswith('The model cannot be copied to rehearse a step (')
    assert plan.facts.measured.step is None and plan.facts.measured.loading is not None


def test_a_larger_set_than_is_opened(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0)
    assert survey(runner, num_images=5, seconds=0.5).facts.images.opened == 5


def two_processes(folder, work_dir):
    """Survey on this process of two, and give what was measured; fail here if anything has changed."""
    wrapper = dict(type='clim_mm.DeviceDDP', broadcast_buffers=False, find_unused_parameters=False)
    runner = trained_a_little(prepared(
        folder, work_dir, num_workers=0, launcher='pytorch', cfg=Config(dict(model_wrapper_cfg=wrapper)),
        model=model_cfg(queue_len=48), default_hooks=dict(checkpoint=None)))
    assert isinstance(runner, Runner) and runner.world_size == 2
    before = everything(runner)
    plan = survey(runner, neighbor_hook_of(runner), seconds=1.0)
    assert_same(before, everything(runner))
    step = plan.facts.measured.step
    return step.images, step.steps, plan.facts.settings.processes, plan.facts.forecast.refresh is not None


@pytest.mark.e2e
def test_two_processes_measure_the_same_steps_together(folder, tmp_path):
    first, second = on_processes(2, two_processes, str(folder), str(tmp_path))
    assert first[:3] == second[:3] and first[2] == 2 and first[0] >= 2
    assert first[3] and not second[3], 'the first process searches'
    assert torch.get_num_threads() == 1
