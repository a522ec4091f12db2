"""What a checkpoint's meta tells of its pretraining."""

import json

import pytest
from mmengine.config import Config
from written_checkpoints import CONFIG, META, config_text

from clim_mm.errors import CheckpointError, sentence
from clim_mm.export.pretraining import Input, pretraining_of


def test_what_this_projects_main_config_says():
    told = pretraining_of(dict(META, cfg=config_text()), 'epoch_200.pth')
    assert (told.epochs, told.date) == (200, '2026-01-09T10:11:12')
    assert told.input == Input('RGB', (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), 224)
    assert told.backbone['depth'] == 50 and told.backbone['type'] == 'mmselfsup.ResNet'
    assert told.config['name'] == 'clim_r50_16xb32-200e_in1k'
    assert told.config['train_cfg']['max_epochs'] == 200 and told.config['optim_wrapper']['optimizer']['lr'] == 0.06
    assert told.config['model']['data_preprocessor']['mean'] == [123.675, 116.28, 103.53]
    assert json.loads(json.dumps(told.config)) == told.config


def test_paths_of_the_machine_stay_behind():
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir = '/home/somebody/runs'
    cfg.train_dataloader.dataset.dataset.data_root = '/home/somebody/imagenet'
    assert 'somebody' not in json.dumps(pretraining_of(dict(META, cfg=cfg.pretty_text), 'x.pth').config)


@pytest.mark.parametrize('name, size', [
    ('clim/clim_r50_16xb32-1200e_in1k.py', 224),
    ('mocov2/mocov2_r50_16xb32-200e_in1k.py', 224),
    ('clim/clim_r18_1xb32-20e_digits.py', 16),
])
def test_the_size_of_the_views(name, size):
    cfg = Config.fromfile(CONFIG.parents[1] / name)
    assert pretraining_of(dict(META, cfg=cfg.pretty_text), 'x.pth').input.size == size


def test_what_the_config_leaves_open():
    text = 'model = dict(backbone=dict(type="mmselfsup.ResNet", depth=18))'
    told = pretraining_of(dict(cfg=text, epoch='many', time='yesterday'), 'x.pth')
    assert told.input == Input('BGR', (0, 0, 0), (1, 1, 1), None)
    assert (told.epochs, told.date, told.config['name']) == (None, None, '')


@pytest.mark.parametrize('meta', [
    None, {}, dict(cfg=3), dict(cfg=''), dict(cfg='model = 3'), dict(cfg='model = dict(neck=dict())'),
    dict(cfg='backbone = dict(depth=50)'),
])
def test_no_config_with_a_backbone(meta):
    with pytest.raises(CheckpointError) as raised:
        pretraining_of(meta, 'x.pth')
    assert sentence(raised.value).startswith('x.pth has no config of its training that names a backbone')
    assert sentence(raised.value).endswith('give the checkpoint as the pretraining wrote it.')


@pytest.mark.parametrize('given', ["dict(mean='grey')", '[1, 2]', 'dict(mean=5)'])
def test_an_input_that_makes_no_sense(given):
    text = f'model = dict(backbone=dict(depth=50), data_preprocessor={given})'
    with pytest.raises(CheckpointError, match='does not say what images its backbone takes'):
        pretraining_of(dict(cfg=text), 'x.pth')
