"""What looks wrong, each alone beside settings, images and a machine with which nothing is."""

from dataclasses import replace

import pytest
from made_facts import COSINE, GIB, IMAGES, MEASURED, facts

from clim_mm.preflight.checks import LINEAR, PRETRAINING, check_resources, check_settings, rule_for
from clim_mm.preflight.measure import Loading
from clim_mm.preflight.settings import Schedule


def findings(rule=PRETRAINING, **differences):
    return list(check_settings(facts(**differences).settings, rule))


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
    (Schedule('CosineAnnealingLR', True, 0, 200, 100), 'lowest rate at epoch 100 and is in force until 200, but'),
    (Schedule('CosineAnnealingLR', True, 0, 150, 150), 'lowest rate at epoch 150'),
    (Schedule('CosineAnnealingLR', True, 0, 200, 800), 'lowest rate at epoch 800 and is'),
    (Schedule('CosineAnnealingLR', True, 10, 200, 210), 'lowest rate at epoch 210 and is'),
    (Schedule('CosineAnnealingLR', False, 0, 500_400, 200), 'at iteration 200 and is in force until 500400'),
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


def test_steps_do_not_run_over_epochs():
    """Ten batches by four are three steps of an epoch."""
    settings = dict(steps=10, accumulation=4, max_epochs=3, momentum=0.99, schedules=(), checkpoint_interval=1)
    assert 'the training has only 9:' in {f.name: f.sentence for f in findings(None, settings=settings)}['momentum']


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
    assert 'or with CLIM\'s model.bn_splits=8' in found(settings=alone)['batch_norm']
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


def resources(**differences):
    """Names and sentences of what is found."""
    return {finding.name: finding.sentence for finding in check_resources(facts(**differences))}


def test_the_machine_allows_everything():
    assert resources() == {}


def test_nothing_is_known():
    nothing = dict(loading=None, step=None, extraction=None, search=None)
    machine = dict(free_memory=None, free_disk=None, gpu_memory=None)
    assert resources(images=None, measured=nothing, machine=machine) == {}


def test_unreadable_images():
    images = replace(IMAGES, unreadable=2, first_unreadable='a/b.jpg (it is cut off)')
    sentences = resources(images=images)
    assert list(sentences) == ['unreadable']
    assert sentences['unreadable'].startswith('2 of 64 images that were opened cannot be read, such as a/b.jpg (it is')


@pytest.mark.parametrize('seconds, cores, words', [
    (0.05, 128, None),  # 32 x 0.05 / 8 = 0.2 s, as long as the model
    (0.10, 128, 'set train_dataloader.num_workers=16.'),
    (0.10, 100, '16 workers in each of 8 process(es) would keep up, but this machine has 100 cores'),
])
def test_loading_slower_than_the_model(seconds, cores, words):
    sentences = resources(measured=dict(loading=Loading(7, seconds)), machine=dict(cores=cores))
    if words is None:
        assert sentences == {}
    else:
        assert list(sentences) == ['loading']
        assert '8 worker(s) need 400 ms for a batch of 32, and the model 200 ms' in sentences['loading']
        assert words in sentences['loading']


def test_refreshes_that_take_too_long():
    slow = replace(MEASURED.search, search=4e11)  # 1051 + 3 + 100 s, beside 5 epochs of 500 s
    sentence = resources(measured=dict(search=slow))['refresh_share']
    assert sentence.startswith('Refreshes take 32% of the time, 19 min each')
    assert 'now 5, or set its `exact=False`' in sentence
    assert 'refresh_share' not in resources(measured=dict(search=slow), refresh=dict(interval=50))


def test_refreshes_whose_extraction_takes_too_long_need_no_other_search():
    slow = replace(MEASURED.extraction, load=0.1)
    assert 'exact=False' not in resources(measured=dict(extraction=slow))['refresh_share']


@pytest.mark.parametrize('interval, expected', [(5, []), (172, []), (173, ['checkpoint_time']), (201, [])])
def test_more_than_a_day_without_a_checkpoint(interval, expected):
    sentences = resources(settings=dict(checkpoint_interval=interval))  # epochs of 500.4 s
    assert list(sentences) == expected
    if expected:
        assert 'interval=172' in sentences['checkpoint_time']


def test_features_that_do_not_fit_in_memory():
    needed = facts().forecast.refresh.host_bytes
    assert resources(machine=dict(free_memory=needed)) == {}
    sentence = resources(machine=dict(free_memory=needed - 1))['host_memory']
    assert 'needs 1.7 GiB' in sentence and '1.7 GiB are free' in sentence and 'embedding' not in sentence
    assert 'layer="embedding"' in resources(machine=dict(free_memory=1), refresh=dict(layer='pooled'))['host_memory']


def test_a_batch_that_does_not_fit_on_the_gpu():
    assert resources(machine=dict(gpu_memory=9 * GIB)) == {}
    sentences = resources(machine=dict(gpu_memory=8 * GIB))
    assert list(sentences) == ['gpu_memory'] and '8.4 GiB on a GPU of 8 GiB' in sentences['gpu_memory']


def test_a_full_disk():
    needed = facts().forecast.disk_bytes
    assert resources(machine=dict(free_disk=needed)) == {}
    assert list(resources(machine=dict(free_disk=needed - 1))) == ['disk']
