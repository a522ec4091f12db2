"""What a detector's backbone starts from is said by the command, and is in the config and in the row's name."""

import argparse

import pytest
from mmengine.config import Config

from clim_mm.errors import ConfigError
from clim_mm.transfer.detector_config import Start, add_start_arguments, start_from, start_of

CONFIG = 'configs/coco/mask-rcnn_coco.py'
PRETRAINING, FILE = Start('pretraining', 'a/epoch_1.pth'), Start('supervised', 'b/resnet50.pth')
SUPERVISED, RANDOM = Start('supervised', 'torchvision://resnet50'), Start('random')


def config(shared=False, **hook):
    model = dict(backbone=dict(type='ResNet', init_cfg=None))
    if shared:
        model['roi_head'] = dict(shared_head=dict(type='NormedResLayer', init_cfg=None))
    return Config(dict(model=model, custom_hooks=[dict(type='EMAHook'), dict(type='TransferPreflightHook', **hook)]))


def parsed(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_start_arguments(parser)
    parser.add_argument('--launcher')
    return start_of(parser.parse_intermixed_args([CONFIG, *words]))


@pytest.mark.parametrize('words, start', [
    (['a/epoch_1.pth'], PRETRAINING),
    (['--start', 'a/epoch_1.pth'], PRETRAINING),
    (['--launcher', 'pytorch', 'a/epoch_1.pth'], PRETRAINING),  # as tools/dist_train.sh has it
    (['--start', 'supervised'], SUPERVISED),
    (['--launcher', 'pytorch', 'b/resnet50.pth', '--start', 'supervised'], FILE),
    (['--start', 'random'], RANDOM),
])
def test_what_a_command_says(words, start):
    assert parsed(*words) == start


@pytest.mark.parametrize('words', [[], ['a/epoch_1.pth', '--start', 'random'], ['a.pth', '--start', 'b.pth']])
def test_a_command_that_says_it_twice_or_not_at_all(words):
    with pytest.raises(ConfigError, match='give a pretraining\'s checkpoint, or --start supervised, or --start random'):
        parsed(*words)


@pytest.mark.parametrize('start, row, work_dir', [
    (PRETRAINING, 'mask-rcnn_coco', 'mask-rcnn_coco/a-epoch_1'),
    (FILE, 'mask-rcnn_coco_supervised', 'mask-rcnn_coco_supervised/b-resnet50'),
    (RANDOM, 'mask-rcnn_coco_random', 'mask-rcnn_coco_random'),
])
def test_the_row_is_in_the_work_dir(start, row, work_dir):
    assert start.row(CONFIG) == row and start.work_dir(CONFIG) == f'work_dirs/{work_dir}'
    assert SUPERVISED.work_dir(CONFIG).startswith('work_dirs/mask-rcnn_coco_supervised/')


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('start, wanted', [
    (PRETRAINING, dict(type='Pretrained', checkpoint='backbone://a/epoch_1.pth')),
    (FILE, dict(type='Pretrained', checkpoint='backbone://b/resnet50.pth')),
    (RANDOM, None)])
def test_the_checkpoint_is_given_to_all_that_is_pretrained(start, wanted, shared):
    cfg = config(shared)
    start_from(cfg, start)
    assert cfg.model.backbone.init_cfg == wanted
    assert not shared or cfg.model.roi_head.shared_head.init_cfg == wanted
    assert cfg.custom_hooks[1] == dict(type='TransferPreflightHook', start=start.kind)


def test_a_config_without_the_check():
    for hooks in (None, [dict(type='EMAHook')]):
        with pytest.raises(ConfigError, match='no TransferPreflightHook in custom_hooks'):
            start_from(Config(dict(model=dict(backbone=dict()), custom_hooks=hooks)), RANDOM)
