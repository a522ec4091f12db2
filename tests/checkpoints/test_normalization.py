"""How a pretraining normalised its images, as its checkpoint tells."""

from pathlib import Path

import pytest
from mmengine.config import Config

from clim_mm.checkpoints.normalization import (
    IMAGENET,
    check_normalization,
    in_words,
    normalization_in,
    normalization_of,
    saved_normalization,
)
from clim_mm.errors import ConfigError

ROOT = Path(__file__).parents[2]
RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], order='RGB')


def test_it_reads_what_mmengine_writes():
    cfg = Config.fromfile(ROOT / 'configs/clim/clim_r50_16xb32-200e_in1k.py')
    assert saved_normalization(dict(cfg=cfg.pretty_text)) == dict(RGB, reading=dict(max_value=None, color_type='color'))


@pytest.mark.parametrize('text', ['', 'model = dict(', 'model = 3', 'x' * 100, '(' * 5000])
def test_what_is_no_config_tells_nothing(text):
    assert saved_normalization(dict(cfg=text)) is None


@pytest.mark.parametrize('meta', [None, {}, dict(cfg=3), [], dict(cfg=None)])
def test_a_checkpoint_without_a_config_tells_nothing(meta):
    assert saved_normalization(meta) is None


def test_the_preprocessor_may_stand_outside_of_the_model():
    text = 'model = dict(type="A")\ndata_preprocessor = dict(mean=[1, 2, 3], std=(4, 5, 6))'
    assert saved_normalization(dict(cfg=text)) == dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], order='BGR')


@pytest.mark.parametrize('settings, order', [
    (dict(bgr_to_rgb=True), 'RGB'), (dict(to_rgb=True), 'RGB'), (dict(rgb_to_bgr=True), 'RGB'),
    (dict(bgr_to_rgb=False), 'BGR'), ({}, 'BGR')])
def test_the_order_of_the_channels(settings, order):
    assert normalization_of(settings) == dict(mean=None, std=None, order=order)


def test_in_words():
    assert in_words(dict(mean=[1.0], std=[2.0], order='BGR')) == 'BGR, mean [1.0], std [2.0]'


@pytest.mark.parametrize('changes, same', [
    ({}, True), (dict(mean=[123.68, 116.28, 103.53]), True), (dict(mean=[123.68, 116.78, 103.94]), False),
    (dict(order='BGR'), False), (dict(std=None), False), (dict(mean=[123.675]), False)])
def test_normalised_as_in_the_pretraining(changes, same):
    if same:
        assert check_normalization(dict(IMAGENET, **changes), IMAGENET, 'a.pth').startswith('Images are normalised as')
    else:
        with pytest.raises(ConfigError, match='normalised here by .*, but a.pth was trained with RGB, mean'):
            check_normalization(dict(IMAGENET, **changes), IMAGENET, 'a.pth')


def test_none_is_zero_and_one():
    nothing, neutral = dict(mean=None, std=None, order='RGB'), dict(mean=[0.0], std=[1.0, 1.0, 1.0], order='RGB')
    assert check_normalization(nothing, neutral, 'a.pth').startswith('Images are normalised as in')
    assert 'does not tell whether' in check_normalization(nothing, None, 'a.pth')


def reading(**options):
    pipeline = [dict(type='PairViews', load=[dict(type='clim_mm.LoadImage', **options)])]
    return normalization_in(dict(data_preprocessor=dict(RGB), train_dataloader=dict(dataset=dict(pipeline=pipeline))))


def test_images_are_read_as_they_were():
    check_normalization(reading(max_value=4095), reading(max_value=4095), 'a.pth')
    check_normalization(reading(), reading(max_value=None, min_side=8), 'a.pth')
    check_normalization(reading(max_value=4095), dict(RGB, order='BGR'), 'a.pth')  # of which that is not known
    for here, there in (({}, dict(max_value=4095)), (dict(color_type='color_ignore_orientation'), {})):
        with pytest.raises(ConfigError, match='Images are read here with .*, but a.pth was trained with .*: set these'):
            check_normalization(reading(**here), reading(**there), 'a.pth')
