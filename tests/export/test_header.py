"""What a checkpoint's meta tells of its pretraining, and the header of an exported file."""

import hashlib
import json

import pytest
import torch
from mmengine.config import Config
from written_checkpoints import CONFIG, META, checkpoint_of, config_text

from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.errors import CheckpointError, sentence
from clim_mm.export import FORMATS, read_header, weights_sha256
from clim_mm.export.header import header_in, pretraining_of
from clim_mm.version import __version__


def test_the_hash_of_a_file(tmp_path):
    content = bytes(range(256)) * 5000  # of more than a block
    (tmp_path / 'x').write_bytes(content)
    assert file_sha256(tmp_path / 'x') == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize('target', [
    pytest.param(name, marks=pytest.mark.e2e) if form.write is None else name for name, form in FORMATS.items()])
def test_each_file_brings_its_header_along(target, export18, checkpoint18):
    path, exported = export18(target)
    header = read_header(path)
    assert header == exported.header and json.loads(json.dumps(header)) == header
    assert (header['target'], header['architecture'], header['clim_mm']) == (target, 'resnet18', __version__)
    assert (header['epochs'], header['date']) == (200, '2026-01-09T10:11:12')
    assert header['config']['name'] == 'clim_r50_16xb32-200e_in1k'
    assert header['config']['model']['backbone']['depth'] == 18
    assert header['checkpoint_sha256'] == file_sha256(checkpoint18)
    assert header['input'] == dict(
        channel_order='RGB', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], size=224)
    assert header['parity']['most'] == 1e-5


def test_the_weights_of_the_file_have_the_hash_of_its_header(export18):
    path, exported = export18('timm')
    assert weights_sha256(torch.load(path, weights_only=True)) == exported.header['weights_sha256']


def test_files_without_a_header(tmp_path, resnet18):
    torch.save(resnet18.state_dict(), tmp_path / 'plain.pth')
    assert read_header(tmp_path / 'plain.pth') is None
    assert header_in(checkpoint_of(resnet18)) is None
    assert header_in(dict(clim_mm='0.1.0', meta=[], state_dict={})) is None


@pytest.mark.parametrize('content', [b'', b'{}', b'\xff' * 8 + b'{}', b'\x02' + bytes(7) + b'[]', b'\x02' + bytes(7)])
def test_a_safetensors_file_that_is_none(tmp_path, content):
    path = tmp_path / 'model.safetensors'
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        read_header(path)
    assert sentence(raised.value).startswith(f'{path} is no whole safetensors file (')


def test_what_this_projects_main_config_says():
    told, backbone = pretraining_of(dict(META, cfg=config_text()), 'epoch_200.pth')
    assert (told['epochs'], told['date']) == (200, '2026-01-09T10:11:12')
    assert told['input'] == dict(
        channel_order='RGB', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], size=224)
    assert backbone['depth'] == 50 and backbone['type'] == 'mmselfsup.ResNet'
    config = told['config']
    assert config['name'] == 'clim_r50_16xb32-200e_in1k'
    assert config['train_cfg']['max_epochs'] == 200 and config['optim_wrapper']['optimizer']['lr'] == 0.06
    assert config['model']['data_preprocessor']['mean'] == [123.675, 116.28, 103.53]
    assert json.loads(json.dumps(told)) == told


def test_paths_of_the_machine_stay_behind():
    cfg = Config.fromfile(CONFIG)
    cfg.work_dir = '/home/somebody/runs'
    cfg.train_dataloader.dataset.dataset.data_root = '/home/somebody/imagenet'
    assert 'somebody' not in json.dumps(pretraining_of(dict(META, cfg=cfg.pretty_text), 'x.pth')[0])


@pytest.mark.parametrize('name, size', [
    ('clim/clim_r50_16xb32-1200e_in1k.py', 224),
    ('mocov2/mocov2_r50_16xb32-200e_in1k.py', 224),
    ('clim/clim_r18_1xb32-20e_digits.py', 16),
])
def test_the_size_of_the_views(name, size):
    cfg = Config.fromfile(CONFIG.parents[1] / name)
    assert pretraining_of(dict(META, cfg=cfg.pretty_text), 'x.pth')[0]['input']['size'] == size


def test_what_the_config_leaves_open():
    text = 'model = dict(backbone=dict(type="mmselfsup.ResNet", depth=18))'
    told, _ = pretraining_of(dict(cfg=text, epoch='many', time='yesterday'), 'x.pth')
    assert told['input'] == dict(channel_order='BGR', mean=[0, 0, 0], std=[1, 1, 1], size=None)
    assert (told['epochs'], told['date'], told['config']['name']) == (None, None, '')


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
