"""What looks wrong, each alone beside settings, images and a machine with which nothing is."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_facts import GIB, MEASURED, facts
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from clim_mm.preflight.checks import check_resources, check_schedules, check_settings


def findings(**differences):
    return list(check_settings(facts(**differences).settings))


def found(**differences):
    """Names and sentences of what is found."""
    return {finding.name: finding.sentence for finding in findings(**differences)}


def test_nothing_is_wrong_with_the_papers_settings():
    assert findings() == []


def test_fewer_images_than_a_batch():
    sentences = found(settings=dict(num_images=500, steps=0, queue_len=64))
    assert list(sentences) == ['steps']
    assert '500 images are fewer than one batch of 32 on each of 16' in sentences['steps']


def test_a_batch_that_the_model_finds_wrong():
    assert found(settings=dict(batch_fault='Too small.')) == dict(batch='Too small.')


def misfits(*schedulers):
    """What is found of a training of 20 epochs of 10 iterations, whose schedules end there as the Runner has it."""
    wrapper = build_optim_wrapper(nn.Linear(1, 1), dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)))
    built = [PARAM_SCHEDULERS.build(dict(dict(end=20), **cfg), default_args=dict(optimizer=wrapper, epoch_length=10))
             for cfg in schedulers]
    return list(check_schedules(SimpleNamespace(param_schedulers=built, max_epochs=20, max_iters=200)))


@pytest.mark.parametrize('cfg, words', [
    (dict(type='CosineAnnealingLR', T_max=10), 'CosineAnnealingLR has its lowest rate at epoch 10, but ends at 20: '),
    (dict(type='CosineAnnealingLR', T_max=80), 'at epoch 80, but ends at 20: change its T_max'),
    (dict(type='CosineAnnealingLR', T_max=20, begin=1), 'at epoch 21, but ends at 20'),
    (dict(type='CosineAnnealingLR', T_max=20, end=200, by_epoch=False), 'at iteration 20, but ends at 200'),
    (dict(type='CosineAnnealingLR', T_max=80, end=80), 'at epoch 80, but ends at 20'),
    (dict(type='MultiStepLR', milestones=[12, 20]), 'at epoch 20, but ends at 20'),
])
def test_schedules_that_do_not_fit(cfg, words):
    finding, = misfits(dict(type='LinearLR', start_factor=0.1, end=1), cfg)
    assert finding.name == 'schedule' and words in finding.sentence


@pytest.mark.parametrize('schedulers', [
    [],
    [dict(type='LinearLR', start_factor=0.1, end=5), dict(type='CosineAnnealingLR', begin=5)],
    [dict(type='CosineAnnealingLR', convert_to_iter_based=True)],
    [dict(type='MultiStepLR', milestones=[12, 16])],
    [dict(type='CosineAnnealingLR', T_max=10, end=10), dict(type='ConstantLR', begin=10)],
    [dict(type='CosineAnnealingMomentum', T_max=10)],
])
def test_schedules_that_fit(schedulers):
    assert misfits(*schedulers) == []


def test_no_schedule():
    assert list(check_schedules(SimpleNamespace(param_schedulers=None))) == []


@pytest.mark.parametrize('lr, accumulation, fits', [
    (0.089, 1, True), (0.12, 1, False), (0.041, 1, True), (0.03, 1, False), (0.24, 4, True), (0.06, 4, False),
])
def test_the_learning_rate_follows_the_images_of_an_optimizer_step(lr, accumulation, fits):
    settings = dict(lr=lr, accumulation=accumulation)
    assert bool(found(settings=settings)) != fits
    assert findings(settings=dict(settings, lr_rule=None)) == []
    assert findings(settings=dict(settings, optimizer='AdamW')) == []


def test_the_learning_rate_is_named():
    sentence = found(settings=dict(lr=0.3))['lr']
    assert '0.3 is 5 times the 0.06 of the rule 0.06 x images per step / 512, with 512 images' in sentence
    assert 'optim_wrapper.optimizer.lr=0.06' in sentence
    assert 'auto_scale_lr.base_lr=0.3 and .base_batch_size=512' in sentence
    assert '0.006 is 0.1 times the 0.06' in found(settings=dict(lr=0.006))['lr']


@pytest.mark.parametrize('processes, lr, fits', [(8, 30, True), (1, 30, False), (1, 3.75, True), (8, 0.03, False)])
def test_every_method_may_have_a_rule(processes, lr, fits):
    settings = dict(processes=processes, local_processes=processes, lr=lr, queue_len=None, momentum=None, refresh=None,
                    lr_rule=(30.0, 256))
    sentences = found(settings=settings)
    assert list(sentences) == ([] if fits else ['lr'])
    assert fits or 'the rule 30 x images per step / 256' in sentences['lr']


def test_a_queue_longer_than_the_training_set():
    settings = dict(num_images=65_535, steps=127)
    sentences = found(settings=settings)
    assert list(sentences) == ['queue'] and 'at most about 8191' in sentences['queue']
    assert findings(settings=dict(settings, num_images=65_536)) == []


def test_steps_do_not_run_over_epochs():
    """Ten batches by four are three steps of an epoch."""
    settings = dict(steps=10, accumulation=4, max_epochs=3, momentum=0.99, checkpoint_interval=1,
                    lr_rule=None)
    assert 'at each of only 9 steps' in found(settings=settings)['momentum']


@pytest.mark.parametrize('momentum, max_epochs, fits', [
    (0.999, 3, True),  # 1000 of 7506 steps
    (0.999, 1, False),  # of 2502
    (0.99, 1, True),
    (1.0, 200, False),
])
def test_the_momentum_encoder_must_be_able_to_follow(momentum, max_epochs, fits):
    settings = dict(momentum=momentum, max_epochs=max_epochs, checkpoint_interval=1)
    sentences = found(settings=settings)
    assert list(sentences) == ([] if fits else ['momentum'])


def test_the_momentum_that_would_follow_is_named():
    settings = dict(momentum=0.999, max_epochs=1, checkpoint_interval=1)
    assert 'keeps 0.999 of itself at each of only 2502 steps, too much to follow: set model.momentum=0.996' in found(
        settings=settings)['momentum']


def test_batch_statistics_that_give_the_positive_away():
    assert 'or with CLIM\'s model.bn_splits=8' in found(settings=dict(leaks_positives=True))['batch_norm']


def test_a_normalisation_for_values_from_0_to_1():
    assert 'are for values from 0 to 1: multiply both by 255' in found(settings=dict(unit_values=True))['normalization']


def test_a_refresh_that_never_comes():
    assert list(found(refresh=dict(begin=200))) == ['refresh_begin']
    assert findings(refresh=dict(begin=199)) == []
    assert findings(settings=dict(refresh=None)) == []


@pytest.mark.parametrize('interval, max_epochs, fits', [
    (200, 200, True), (201, 200, False), (None, 200, False), (None, 1, True), (0.1, 200, True)
])
def test_a_training_without_a_checkpoint_on_the_way(interval, max_epochs, fits):
    settings = dict(checkpoint_interval=interval, max_epochs=max_epochs, momentum=0.99)
    assert list(found(settings=settings)) == ([] if fits else ['checkpoint_interval'])


def resources(**differences):
    """Names and sentences of what is found."""
    return {finding.name: finding.sentence for finding in check_resources(facts(**differences))}


def test_the_machine_allows_everything():
    assert resources() == {}


def test_nothing_is_known():
    nothing = dict(load=None, compute=None, search=None)
    assert resources(measured=nothing, machine=dict(free_memory=None, free_disk=None, gpu_memory=None)) == {}


def test_unreadable_images():
    sentences = resources(measured=dict(unreadable=('a/b.jpg', 'c.jpg')))
    assert list(sentences) == ['unreadable']
    assert sentences['unreadable'].startswith('For 64 samples 2 images could not be read, such as a/b.jpg: replace')


@pytest.mark.parametrize('seconds, slow', [(0.05, False), (0.10, True)])  # 32 x 0.05 / 8 = 0.2 s, as long as the model
def test_loading_slower_than_the_model(seconds, slow):
    sentences = resources(measured=dict(load=seconds))
    assert list(sentences) == (['loading'] if slow else [])
    if slow:
        assert '8 worker(s) need 0.4 s for a batch of 32, and the model 0.2 s' in sentences['loading']
        assert 'set train_dataloader.num_workers=16, or, if 128 cores' in sentences['loading']


def test_refreshes_that_take_too_long():
    slow = replace(MEASURED.search, search=4e11)  # 1051 + 3 + 100 s, beside 5 epochs of 500 s
    sentence = resources(measured=dict(search=slow))['refresh_share']
    assert sentence.startswith('Refreshes take 32% of the time, 0:19:') and 'its `exact=False`' in sentence
    assert 'refresh_share' not in resources(measured=dict(search=slow), refresh=dict(interval=50))


def test_features_that_do_not_fit_in_memory():
    needed = facts().forecast.refresh.host_bytes
    assert resources(machine=dict(free_memory=needed)) == {}
    sentence = resources(machine=dict(free_memory=needed - 1))['host_memory']
    assert 'needs 2.46 GiB' in sentence and 'layer="embedding"' in sentence


def test_a_batch_that_does_not_fit_on_the_gpu():
    assert resources(machine=dict(gpu_memory=9 * GIB)) == {}
    sentences = resources(machine=dict(gpu_memory=8 * GIB))
    assert list(sentences) == ['gpu_memory'] and '8.45 GiB on a GPU of 8 GiB' in sentences['gpu_memory']


def test_a_full_disk():
    needed = facts().forecast.disk_bytes
    assert resources(machine=dict(free_disk=needed)) == {}
    assert list(resources(machine=dict(free_disk=needed - 1))) == ['disk']
