"""What looks wrong in settings, each alone beside settings in which nothing is wrong."""

import pytest
from made_facts import COSINE, facts

from clim_mm.preflight.lr_rules import LINEAR, PRETRAINING, rule_for
from clim_mm.preflight.schedules import Schedule
from clim_mm.preflight.setting_checks import check_settings


def findings(rule=PRETRAINING, **differences):
    return list(check_settings(facts(**differences), rule))


def found(**differences):
    """Names and sentences of what is found."""
    return {finding.name: finding.sentence for finding in findings(**differences)}


def test_nothing_is_wrong_with_the_papers_settings():
    assert findings() == []


def test_fewer_images_than_a_batch():
    sentences = found(settings=dict(num_images=500, steps=0, queue_len=64))
    assert list(sentences) == ['steps']
    assert '500 images are fewer than one batch of 32 on each of 16' in sentences['steps']


@pytest.mark.parametrize('cosine, words', [
    (Schedule('CosineAnnealingLR', True, 0, 200, 100), 'ends at epoch 100 of 200'),
    (Schedule('CosineAnnealingLR', True, 0, 150, 150), 'ends at epoch 150 of 200'),
    (Schedule('CosineAnnealingLR', True, 0, 200, 800), 'lowest rate at epoch 800, but it ends at 200'),
    (Schedule('CosineAnnealingLR', True, 10, 200, 210), 'lowest rate at epoch 210, but it ends at 200'),
    (Schedule('CosineAnnealingLR', False, 0, 500_400, 200), 'ends at iteration 200 of 500400'),
    (Schedule('MultiStepLR', True, 0, 200, None, (120, 200)), 'at epoch 200, but it ends at 200: move'),
    (Schedule('StepLR', False, 0, 500_400, None, (600_000, )), 'at iteration 600000, but it ends at 500400'),
])
def test_schedules_that_do_not_fit(cosine, words):
    sentences = found(settings=dict(schedules=(cosine, )))
    assert list(sentences) == ['schedule'] and words in sentences['schedule']


@pytest.mark.parametrize('schedules', [
    (),
    (Schedule('LinearLR', True, 0, 10), Schedule('CosineAnnealingLR', True, 10, 200, 200)),
    (Schedule('CosineAnnealingLR', False, 0, 500_400, 500_400), ),
    (Schedule('MultiStepLR', True, 0, 200, None, (120, 160)), ),
    (Schedule('CosineAnnealingLR', True, 0, 100, 100), Schedule('ConstantLR', True, 100, 200)),
])
def test_schedules_that_fit(schedules):
    assert findings(settings=dict(schedules=schedules)) == []


@pytest.mark.parametrize('lr, accumulation, fits', [
    (0.089, 1, True), (0.12, 1, False), (0.041, 1, True), (0.03, 1, False), (0.24, 4, True), (0.06, 4, False),
    (0, 1, False)
])
def test_the_learning_rate_follows_the_images_of_an_optimizer_step(lr, accumulation, fits):
    settings = dict(lr=lr, accumulation=accumulation)
    assert bool(found(settings=settings)) != fits
    assert findings(rule=None, settings=settings) == []
    assert findings(settings=dict(settings, optimizer='AdamW')) == []


def test_the_learning_rate_is_named():
    sentence = found(settings=dict(lr=0.3))['lr']
    assert '0.3 is 5 times the 0.06 of the rule 0.06 x images per step / 512, with 512 images' in sentence
    assert 'optim_wrapper.optimizer.lr=0.06' in sentence
    assert '0.006 is 1/10 of the 0.06' in found(settings=dict(lr=0.006))['lr']
    assert findings(rule=rule_for(PRETRAINING, 0.3), settings=dict(lr=0.3)) == []


@pytest.mark.parametrize('processes, lr, fits', [(8, 30, True), (1, 30, False), (1, 3.75, True), (8, 0.03, False)])
def test_linear_classifiers_have_a_rule_of_their_own(processes, lr, fits):
    settings = dict(processes=processes, local_processes=processes, lr=lr, queue_len=None, momentum=None, refresh=None)
    sentences = found(rule=LINEAR, settings=settings)
    assert list(sentences) == ([] if fits else ['lr'])
    assert fits or 'the rule 30 x images per step / 256' in sentences['lr'] and 'linear' in sentences['lr']


def test_whose_rule_counts():
    assert rule_for(LINEAR, 0.06) is LINEAR and rule_for(None, 0.06) is None and rule_for(LINEAR, None) is None
    assert rule_for(LINEAR, 0.1).of(512) == rule_for(None, 0.1).of(512) == 0.1
    assert PRETRAINING.of(32) == pytest.approx(0.00375) and LINEAR.of(256) == 30


def test_a_queue_longer_than_the_training_set():
    settings = dict(num_images=65_535, steps=127)
    sentences = found(settings=settings)
    assert list(sentences) == ['queue'] and 'at most about 8191' in sentences['queue']
    assert findings(settings=dict(settings, num_images=65_536)) == []


def test_a_queue_that_mocos_batches_do_not_divide():
    settings = dict(model='MoCo', queue_must_divide=True, queue_len=65_600)
    sentences = found(settings=settings)
    assert list(sentences) == ['queue_multiple'] and 'set it to 65536' in sentences['queue_multiple']
    assert findings(settings=dict(settings, queue_must_divide=False)) == []


@pytest.mark.parametrize('momentum, max_epochs, fits', [
    (0.999, 3, True),  # 1000 of 7506 steps
    (0.999, 1, False),  # of 2502
    (0.99, 1, True),
    (1.0, 200, False),
])
def test_the_momentum_encoder_must_be_able_to_follow(momentum, max_epochs, fits):
    settings = dict(momentum=momentum, max_epochs=max_epochs, schedules=(), checkpoint_interval=1)
    sentences = found(settings=settings)
    assert list(sentences) == ([] if fits else ['momentum'])


def test_the_momentum_that_would_follow_is_named():
    settings = dict(momentum=0.999, max_epochs=1, schedules=(), checkpoint_interval=1)
    assert 'within 1000 steps, but the training has only 2502: set model.momentum=0.996' in found(
        settings=settings)['momentum']


def test_one_process_without_splits():
    alone = dict(processes=1, local_processes=1, lr=0.00375)
    assert 'or set model.bn_splits=8' in found(settings=alone)['batch_norm']
    assert 'CLIM\'s model.bn_splits' in found(settings=dict(alone, queue_must_divide=True))['batch_norm']
    for harmless in (dict(bn_splits=8), dict(batch_norm=False), dict(queue_len=None, momentum=None)):
        assert findings(settings=dict(alone, **harmless)) == []


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
    cosine = Schedule(COSINE.name, True, 0, max_epochs, max_epochs)
    settings = dict(checkpoint_interval=interval, max_epochs=max_epochs, schedules=(cosine, ), momentum=0.99)
    assert list(found(settings=settings)) == ([] if fits else ['checkpoint_interval'])
