"""What the machine and the images do not allow, each alone beside a machine that allows everything."""

from dataclasses import replace

import pytest
from made_facts import GIB, IMAGES, MEASURED, facts

from clim_mm.preflight.measure import Loading
from clim_mm.preflight.resource_checks import check_resources


def found(**differences):
    """Names and sentences of what is found."""
    return {finding.name: finding.sentence for finding in check_resources(facts(**differences))}


def test_nothing_is_wrong():
    assert found() == {}


def test_nothing_is_known():
    nothing = dict(loading=None, step=None, extraction=None, search=None)
    assert found(images=None, measured=nothing, machine=dict(free_memory=None, free_disk=None, gpu_memory=None)) == {}


def test_unreadable_images():
    images = replace(IMAGES, unreadable=2, first_unreadable='a/b.jpg (it is cut off)')
    sentences = found(images=images)
    assert list(sentences) == ['unreadable']
    assert sentences['unreadable'].startswith('2 of 64 images that were opened cannot be read, such as a/b.jpg (it is')


@pytest.mark.parametrize('largest, words', [
    (255, None), (64, None), (63, 'no value above 16383, so that 64 of 256 levels are left'),
    (14, 'so that 15 of 256 levels are left in 8 bits: set max_value=4095 of every LoadImage in the config.')])
def test_images_of_few_bits_in_16(largest, words):
    sentences = found(images=replace(IMAGES, odd_modes={'16-bit': 3}, deep_largest=largest))
    assert sentences == {} if words is None else list(sentences) == ['depth'] and words in sentences['depth']


def test_a_band_that_is_left_out():
    sentences = found(images=replace(IMAGES, odd_modes={'with a further band': 5}))
    assert list(sentences) == ['bands'] and sentences['bands'].startswith('5 of 64 images that were opened have')


@pytest.mark.parametrize('seconds, cores, words', [
    (0.05, 128, None),  # 32 x 0.05 / 8 = 0.2 s, as long as the model
    (0.10, 128, 'set train_dataloader.num_workers=16.'),
    (0.10, 100, '16 workers in each of 8 process(es) would keep up, but this machine has 100 cores'),
])
def test_loading_slower_than_the_model(seconds, cores, words):
    sentences = found(measured=dict(loading=Loading(7, seconds)), machine=dict(cores=cores))
    if words is None:
        assert sentences == {}
    else:
        assert list(sentences) == ['loading']
        assert '8 worker(s) need 400 ms for a batch of 32, and the model 200 ms' in sentences['loading']
        assert words in sentences['loading']


def test_refreshes_that_take_too_long():
    slow = replace(MEASURED.search, search=4e11)  # 1051 + 3 + 100 s, beside 5 epochs of 500 s
    sentence = found(measured=dict(search=slow))['refresh_share']
    assert sentence.startswith('Refreshes take 32% of the time, 19 min each')
    assert 'now 5, or set its `exact=False`' in sentence
    assert 'refresh_share' not in found(measured=dict(search=slow), refresh=dict(interval=50))


def test_refreshes_whose_extraction_takes_too_long_need_no_other_search():
    slow = replace(MEASURED.extraction, load=0.1)
    assert 'exact=False' not in found(measured=dict(extraction=slow))['refresh_share']


@pytest.mark.parametrize('interval, expected', [(5, []), (172, []), (173, ['checkpoint_time']), (201, [])])
def test_more_than_a_day_without_a_checkpoint(interval, expected):
    sentences = found(settings=dict(checkpoint_interval=interval))  # epochs of 500.4 s
    assert list(sentences) == expected
    if expected:
        assert 'interval=172' in sentences['checkpoint_time']


def test_features_that_do_not_fit_in_memory():
    needed = facts().forecast.refresh.host_bytes
    assert found(machine=dict(free_memory=needed)) == {}
    sentence = found(machine=dict(free_memory=needed - 1))['host_memory']
    assert 'needs 1.7 GiB' in sentence and '1.7 GiB are free' in sentence and 'embedding' not in sentence
    assert 'layer="embedding"' in found(machine=dict(free_memory=1), refresh=dict(layer='pooled'))['host_memory']


def test_a_batch_that_does_not_fit_on_the_gpu():
    assert found(machine=dict(gpu_memory=9 * GIB)) == {}
    sentences = found(machine=dict(gpu_memory=8 * GIB))
    assert list(sentences) == ['gpu_memory'] and '8.4 GiB on a GPU of 8 GiB' in sentences['gpu_memory']


def test_a_full_disk():
    needed = facts().forecast.disk_bytes
    assert found(machine=dict(free_disk=needed)) == {}
    assert list(found(machine=dict(free_disk=needed - 1))) == ['disk']
