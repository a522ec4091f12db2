"""The plan as people and machines read it, and of real trainings: what is found, and that nothing has changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gloo import on_processes
from made_facts import facts
from mmengine.config import Config
from mmengine.runner import Runner
from prepared_runs import Stop, assert_same, everything, neighbor_hook_of, prepared, trained_a_little
from training_runs import CHANNELS, N, P, hook_cfg, model_cfg, pairs_cfg, write_images

from clim_mm.preflight.checks import Finding
from clim_mm.preflight.plan import Plan, survey

pytestmark = pytest.mark.usefixtures('one_torch_thread')

TABLE = """\
Preflight of a training
  machine           a GPU with 32 GiB, 128 cores, 400 GiB of memory free
  images            N = 1,281,167; 64 samples made: no unreadable images
  epochs            200 of 2,502 steps
  batch             32 in each process, 512 for an optimizer step (processes: 16, accumulated: 1)
  learning rate     0.06, SGD, CosineAnnealingLR
  queue             K = 65,536 keys
  momentum encoder  keeps 0.999 of itself at each step
  neighbours        m = 10,000 clusters, k = 40 neighbours (exact), P = 10 positives by center_wise; every 5
                    epochs from epoch 0 on
  memory, training  8.45 GiB in each process: model 246 MiB, gradients 107 MiB, optimizer 107 MiB, activations
                    8 GiB
  memory, refresh   2.46 GiB at most on this machine
  time of a step    0.2 s: model 0.2 s, loading 0.16 s (workers: 8)
  time of a refresh 0:02:26: extraction 0:01:40, clustering and search 45 s; 5.5% of the time
  time in all       1 day, 5:25:02: 200 epochs of 0:08:20, 40 refreshes
  disk              1.59 GiB for checkpoints of 407 MiB, 900 GiB free"""


def lines(**differences):
    """The table's lines by their names, with what stands in the next line joined to them."""
    rows = {}
    for line in Plan('a training', facts(**differences), ()).table().splitlines()[1:]:
        name, text = line[2:20].strip(), line[20:]
        if name:
            rows[name] = text
        else:
            rows[list(rows)[-1]] += f' {text}'
    return rows


def test_the_table():
    assert Plan('a training', facts(), ()).table() == TABLE


def test_the_verdict():
    plan = Plan('a training', facts(), ())
    assert plan.verdict() == 'Nothing looks wrong.'
    long = 'The learning rate is wrong: ' + 'set it ' * 11 + '/a-path/with-hyphens/that-must-stay-whole.'
    plan = replace(plan, findings=(Finding('lr', 'Short: mend it.'), Finding('lr', long)))
    first, *rest = plan.verdict().splitlines()
    assert first == 'Looks wrong:' and rest[0] == '  - Short: mend it.'
    assert [line.strip() for line in rest[1:]] == ['- ' + long.rpartition(' ')[0], long.rpartition(' ')[2]]


def test_without_neighbours_queue_and_gpu():
    rows = lines(
        settings=dict(refresh=None, queue_len=None, momentum=None), measured=dict(search=None, activation_bytes=None),
        machine=dict(gpu=None, gpu_memory=None, free_memory=None))
    assert rows['neighbours'] == 'none'
    assert not {'queue', 'momentum encoder', 'memory, refresh', 'time of a refresh'} & set(rows)
    assert rows['machine'] == 'no GPU, 128 cores, unknown of memory free'
    assert rows['memory, training'].endswith('; activations were not measured')
    assert rows['time in all'] == '1 day, 3:48:00: 200 epochs of 0:08:20'


def test_what_was_not_measured_is_said():
    assert 'not measured' not in lines()
    rows = lines(measured=dict(load=None, compute=None, search=None, missing='No sample.'))
    assert rows['time of a step'] == rows['time in all'] == 'not measured'
    assert rows['not measured'] == 'No sample.'


@pytest.mark.parametrize('settings, name, text', [
    (dict(start_epoch=150), 'epochs', '200 of 2,502 steps, from epoch 150 on'),
    (dict(accumulation=4, processes=1), 'batch',
     '32 in each process, 128 for an optimizer step (processes: 1, accumulated: 4)'),
    (dict(schedules=()), 'learning rate', '0.06, SGD, no schedule'),
    (dict(checkpoint_interval=1, max_keep_ckpts=1), 'disk', '813 MiB for checkpoints of 407 MiB, 900 GiB free'),
])
def test_settings_in_the_table(settings, name, text):
    assert lines(settings=settings)[name] == text


def test_unreadable_images_in_the_table():
    assert lines(measured=dict(unreadable=('a', 'b')))['images'].endswith('; 64 samples made: 2 unreadable images')


def test_for_machines():
    plan = Plan('a training', facts(), (Finding('lr', 'Wrong: mend it.'), ))
    content = json.loads(json.dumps(plan.to_dict()))
    assert content['name'] == 'a training'
    assert content['findings'] == [dict(name='lr', sentence='Wrong: mend it.')]
    assert content['settings']['refresh']['num_clusters'] == 10_000
    assert content['measured']['samples'] == 64
    assert content['forecast']['epoch'] == pytest.approx(500.4)
    assert content['forecast']['refresh']['share'] > 0
    assert content['machine']['gpu'] == 'a GPU'


MOCO = model_cfg(
    type='clim_mm.MoCo', head=dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss')))


def names(plan):
    return {finding.name for finding in plan.findings}


def test_what_is_found_and_that_nothing_changes(folder, tmp_path):
    rule = Config(dict(auto_scale_lr=dict(base_batch_size=512, base_lr=0.06)))
    runner = trained_a_little(prepared(folder, tmp_path, epochs=4, num_workers=0, checkpoints=True, cfg=rule))
    positives = np.tile(np.arange(1, 1 + P, dtype=np.int32), (N, 1))
    runner.train_dataloader.dataset.table.publish(positives)
    before = everything(runner)
    plan = survey(runner, neighbor_hook_of(runner), seconds=1.0)
    assert_same(before, everything(runner))

    facts = plan.facts
    measured = facts.measured
    assert measured.samples == N and measured.unreadable == ()
    assert measured.missing == '' and measured.busy_cores == 1
    assert measured.load > 0 and measured.compute > 0
    assert measured.optimizer_bytes == facts.settings.trainable_bytes
    assert measured.activation_bytes is None
    assert measured.dim == 16 and 0 < measured.encode < 5 and measured.load_view > 0
    assert measured.search.search > 0
    assert facts.forecast.refresh.host_bytes > N * 16 * 4
    assert facts.settings.refresh.num_refreshes == 2
    # The rate of 0.5 where the rule says 0.0009, and nothing else that does not depend on the machine's load.
    assert 'lr' in names(plan) and names(plan) <= {'lr', 'loading', 'refresh_share', 'momentum'}


def test_the_encoder_and_layer_of_the_hook_are_measured(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0, hook=hook_cfg(layer='pooled', encoder='query'))
    plan = survey(runner, neighbor_hook_of(runner), seconds=0.01)
    assert plan.facts.measured.dim == CHANNELS


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
    assert plan.facts.measured.compute > 0
    assert 'batch_norm' in names(plan)


def test_a_queue_that_the_keys_of_a_step_do_not_divide(folder, tmp_path):
    runner = trained_a_little(baseline(folder, tmp_path, queue_len=23))
    before = everything(runner)
    assert survey(runner, seconds=0.01).facts.measured.compute is not None
    assert_same(before, everything(runner))


def test_a_step_that_fails_is_no_reason_to_stop(folder, tmp_path):
    """MMSelfSup's own queue takes nothing but whole batches."""
    runner = baseline(folder, tmp_path, queue_len=9, type='mmselfsup.MoCo')
    measured = survey(runner, seconds=1.0).facts.measured
    assert measured.missing.startswith('No step could be rehearsed (') and measured.load > 0


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
    assert {path[-6:] for path in plan.facts.measured.unreadable} == {'01.png', '04.png'}
    assert 'unreadable' in names(plan) and plan.facts.measured.compute is not None


def test_a_model_that_cannot_be_copied(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0)
    runner.model.kept = runner.model.neck.mlp[0].weight * 2  # part of a graph
    plan = survey(runner, neighbor_hook_of(runner), seconds=0.01)
    assert plan.facts.measured.missing.startswith('No step could be rehearsed (')
    assert plan.facts.measured.compute is None and plan.facts.measured.load is not None


def test_a_larger_set_than_is_looked_at(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0)
    assert survey(runner, num_images=5, seconds=5).facts.measured.samples == 5


def two_processes(folder, work_dir, copyable=True):
    """Survey on this process of two, and give what was measured; fail here if anything has changed."""
    wrapper = dict(type='clim_mm.DeviceDDP', broadcast_buffers=False, find_unused_parameters=False)
    runner = trained_a_little(prepared(
        folder, work_dir, num_workers=0, launcher='pytorch', cfg=Config(dict(model_wrapper_cfg=wrapper)),
        model=model_cfg(queue_len=48), default_hooks=dict(checkpoint=None)))
    assert isinstance(runner, Runner) and runner.world_size == 2
    if not copyable:
        runner.model.module.kept = runner.model.module.neck.mlp[0].weight * 2  # part of a graph
        return survey(runner, neighbor_hook_of(runner), seconds=0.01).facts.measured.missing
    before = everything(runner)
    plan = survey(runner, neighbor_hook_of(runner), seconds=1.0)
    assert_same(before, everything(runner))
    facts = plan.facts
    return facts.measured.compute is not None, facts.settings.processes, facts.forecast.refresh is not None


@pytest.mark.e2e
def test_two_processes_measure_together(folder, tmp_path):
    first, second = on_processes(2, two_processes, str(folder), str(tmp_path))
    assert first[:2] == second[:2] == (True, 2)
    assert first[2] and not second[2], 'the first process searches'
    assert torch.get_num_threads() == 1


@pytest.mark.e2e
def test_two_processes_go_on_without_a_copy(folder, tmp_path):
    for missing in on_processes(2, two_processes, str(folder), str(tmp_path), False):
        assert missing.startswith('No step could be rehearsed (')
