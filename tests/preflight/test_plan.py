"""The plan as people and machines read it, and of real trainings: what is found, and that nothing has changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gloo import on_processes
from made_facts import IMAGES, facts
from mmengine.config import Config
from mmengine.runner import Runner
from prepared_runs import Stop, assert_same, everything, neighbor_hook_of, prepared, trained_a_little
from training_runs import BATCH, CHANNELS, N, P, hook_cfg, model_cfg, pairs_cfg, write_images

from clim_mm.preflight.checks import PRETRAINING, Finding
from clim_mm.preflight.plan import Plan, survey

pytestmark = pytest.mark.usefixtures('one_torch_thread')

TABLE = """\
Preflight of a training
  machine           a GPU with 32 GiB, 128 cores, 400 GiB of memory free
  images            N = 1,281,167; 64 opened: none unreadable, 75 x 60 to 4000 x 3000 pixels, 107 KiB each
  epochs            200 of 2,502 steps: 500,400 steps
  batch             512 images = 32 x 16 processes
  learning rate     0.06, SGD, CosineAnnealingLR
  queue             K = 65,536 keys of 128 dimensions
  momentum encoder  keeps 0.999 of itself at each step
  neighbours        m = 10,000 clusters, k = 40 neighbours (exact), P = 10 positives by center_wise; every 5
                    epochs from epoch 0 on
  memory, training  8.4 GiB in each process: parameters 107 MiB, gradients 107 MiB, optimizer 107 MiB,
                    momentum encoder 107 MiB, queue 32 MiB, frozen and buffers 488 KiB, activations 8 GiB
  memory, refresh   1.7 GiB at most on this machine; features N x 128 626 MiB, index 626 MiB on each GPU,
                    tables 391 MiB
  time of a step    200 ms: model 200 ms, loading 160 ms by 8 workers
  time of a refresh 2.4 min: extraction 1.7 min, clustering 3.4 s, search 42 s; 5.5% of the time
  time in all       29 h: 200 epochs of 8.3 min and 40 refreshes
  disk              1.6 GiB for checkpoints of 407 MiB every 5 epochs, 900 GiB free
  measured          loading by 7 samples, the model by 5 steps of 16 images, extraction by 8 images, search by
                    a block of random vectors"""


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
    assert plan.text() == f'{plan.table()}\n{plan.verdict()}'


def test_steps_that_differ_much_are_told_as_a_doubt():
    rows = lines(measured=dict(step=replace(facts().measured.step, slowest=4.2)))
    assert 'model 200 ms (unsure: equal steps took up to 4.2 times as long, as on a machine with other work), loading' \
        in rows['time of a step']


def test_without_neighbours_queue_and_gpu():
    rows = lines(
        settings=dict(refresh=None, queue_len=None, momentum=None),
        measured=dict(extraction=None, search=None, step=replace(facts().measured.step, activation_bytes=None)),
        machine=dict(gpu=None, gpu_memory=None, free_memory=None))
    assert rows['neighbours'] == 'none'
    assert not {'queue', 'momentum encoder', 'memory, refresh', 'time of a refresh'} & set(rows)
    assert rows['machine'] == 'no GPU, 128 cores, unknown of memory free'
    assert rows['memory, training'].endswith('; activations were not measured')
    assert rows['time in all'] == '28 h: 200 epochs of 8.3 min'


@pytest.mark.parametrize('begin, first', [(0, ' and 1.7 min for an extraction at the first'), (5, '')])
def test_a_refresh_from_a_bank(begin, first):
    assert lines(refresh=dict(from_bank=True, begin=begin))['time of a refresh'] == (
        f'45 s: clustering 3.4 s, search 42 s{first}; 1.8% of the time; 635 MiB on the disk for the bank')


def test_what_was_not_measured_is_said():
    rows = lines(measured=dict(loading=None, step=None, extraction=None, search=None, missing='No sample.'))
    assert rows['time of a step'] == rows['time in all'] == 'not measured'
    assert rows['measured'] == 'nothing. No sample.'


@pytest.mark.parametrize('settings, name, text', [
    (dict(start_epoch=150), 'epochs', '200 of 2,502 steps: 500,400 steps, from epoch 150 on'),
    (dict(accumulation=4, processes=1), 'batch', '128 images = 32 x 1 process x 4 accumulated'),
    (dict(bn_splits=8, processes=1), 'batch', '32 images = 32 x 1 process; batch statistics in up to 8 groups'),
    (dict(schedules=()), 'learning rate', '0.06, SGD, no schedule'),
    (dict(checkpoint_interval=1, max_keep_ckpts=1), 'disk',
     '813 MiB for checkpoints of 407 MiB every epoch, 900 GiB free'),
    (dict(checkpoint_interval=None), 'disk', '407 MiB for checkpoints of 407 MiB at the end, 900 GiB free'),
])
def test_settings_in_the_table(settings, name, text):
    assert lines(settings=settings)[name] == text


def test_images_in_the_table():
    assert lines(images=None)['images'].endswith('none opened, since the data set does not tell their paths')
    same = replace(IMAGES, smallest=(32, 32), largest=(32, 32), unreadable=3)
    assert lines(images=same)['images'] == 'N = 1,281,167; 64 opened: 3 unreadable, 32 x 32 pixels, 107 KiB each'
    beside = replace(same, left_out='2 files (1 .heic, 1 .txt)')
    assert lines(images=beside)['images'].endswith('107 KiB each; left out: 2 files (1 .heic, 1 .txt)')
    none = replace(IMAGES, opened=2, unreadable=2, smallest=None, largest=None)
    assert lines(images=none)['images'] == 'N = 1,281,167; 2 opened: 2 unreadable'


def test_for_machines():
    plan = Plan('a training', facts(), (Finding('lr', 'Wrong: mend it.'), ))
    content = json.loads(json.dumps(plan.to_dict()))
    assert content['name'] == 'a training'
    assert content['findings'] == [dict(name='lr', sentence='Wrong: mend it.')]
    assert content['settings']['schedules'][0]['cosine_ends'] == 200
    assert content['settings']['refresh']['num_clusters'] == 10_000
    assert content['measured']['step']['images'] == 16
    assert content['forecast']['epoch'] == pytest.approx(500.4)
    assert content['forecast']['refresh']['feature_bytes'] == 655_957_504
    assert content['machine']['gpu'] == 'a GPU'
    assert content['images']['opened'] == 64


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
