"""What is read of a checkpoint: the backbone as it was trained, and where it comes from."""

import json

import pytest
import torch
from mmcls.models.backbones import ResNet_CIFAR
from mmengine.config import Config
from mmselfsup.models.backbones import ResNet, ResNetV1d
from written_checkpoints import CONFIG, checkpoint_of, config_text, features_of, images, random_resnet, written

from clim_mm.errors import CheckpointError, ConfigError, sentence
from clim_mm.export.pretraining import check_plain, read_pretraining

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.fixture
def read(resnet18, tmp_path):
    """Read a checkpoint with other parts than a usual one: ``read(text, **changes)``."""
    return lambda *changes, model=resnet18, **more: read_pretraining(
        written(tmp_path / 'x.pth', model, *changes, **more))


def test_the_network_is_the_pretrained_one(read, resnet18):
    model, _ = read(config_text(18, norm_cfg=dict(type='SyncBN')))
    assert not model.training and model.depth == 18
    torch.testing.assert_close(features_of(model, images()), features_of(resnet18, images()), rtol=0, atol=0)


def test_half_precision_becomes_float32(read, resnet18):
    halves = {f'backbone.{name}': value.half() if value.is_floating_point() else value
              for name, value in resnet18.state_dict().items()}
    model, _ = read(state_dict=halves)
    assert model.conv1.weight.dtype == torch.float32
    assert torch.equal(model.layer4[1].bn2.running_var, resnet18.layer4[1].bn2.running_var.half().float())


@pytest.mark.parametrize('depth', [18, 50])
def test_plain_networks(depth):
    check_plain(random_resnet(depth), 'x.pth')


@pytest.mark.parametrize('model, words', [
    (lambda: ResNet_CIFAR(depth=18), 'of another shape: conv1.weight (64, 3, 3, 3) instead of (64, 3, 7, 7)'),
    (lambda: ResNetV1d(depth=18), 'unknown to the model: stem.0.conv.weight'),
    (lambda: ResNet(depth=18, stem_channels=8, base_channels=8), 'conv1.weight (8, 3, 7, 7) instead of (64, 3, 7, 7)'),
    (lambda: ResNet(depth=18, avg_down=True), 'missing: layer2.0.downsample.0.weight'),
    (lambda: ResNet(depth=18, norm_cfg=dict(type='GN', num_groups=4)), 'missing: bn1.weight'),
    (lambda: torch.nn.Linear(2, 2), 'it is a Linear of depth None'),
])
def test_networks_that_other_libraries_do_not_have(model, words):
    with pytest.raises(ConfigError) as raised:
        check_plain(model(), 'x.pth')
    text = sentence(raised.value)
    assert text.startswith('The backbone of x.pth is no plain ResNet of 18, 34, 50, 101, 152 layers (')
    assert words in text


@pytest.mark.parametrize('change, words', [
    (lambda weights: weights.pop('backbone.layer2.0.bn1.running_mean'), '1 missing: layer2.0.bn1.running_mean'),
    (lambda weights: weights.update({'backbone.fc.weight': torch.zeros(2, 2)}), '1 unknown to the model: fc.weight'),
    (lambda weights: weights.clear(), '120 missing: conv1.weight'),
])
def test_weights_of_another_network(read, resnet18, change, words):
    weights = checkpoint_of(resnet18)['state_dict']
    change(weights)
    with pytest.raises(ConfigError, match=f'are not those of its backbone, mmselfsup.ResNet .{words}'):
        read(state_dict=weights)


def test_what_this_projects_main_config_says(read):
    _, told = read(config_text(50), model=random_resnet(50))
    assert (told['epochs'], told['date']) == (200, '20260109_101112')
    assert told['input'] == dict(
        channel_order='RGB', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], size=224,
        view=Config.fromfile(CONFIG).extract.pipeline)
    config = told['config']
    assert config['name'] == 'clim_r50_16xb32-200e_in1k'
    assert config['train_cfg']['max_epochs'] == 200 and config['optim_wrapper']['optimizer']['lr'] == 0.06
    assert config['model']['data_preprocessor']['mean'] == [123.675, 116.28, 103.53]
    assert json.loads(json.dumps(told)) == told


def test_paths_of_the_machine_stay_behind(read):
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.depth = 18
    cfg.work_dir = '/home/somebody/runs'
    cfg.train_dataloader.dataset.dataset.data_root = '/home/somebody/imagenet'
    assert 'somebody' not in json.dumps(read(cfg.pretty_text)[1])


@pytest.mark.parametrize('name, size', [
    ('clim/clim_r50_16xb32-1200e_in1k.py', 224),
    ('mocov2/mocov2_r50_16xb32-200e_in1k.py', 224),
    ('clim/clim_r18_1xb32-20e_digits.py', 16),
])
def test_the_size_of_the_views(read, name, size):
    cfg = Config.fromfile(CONFIG.parents[1] / name)
    cfg.model.backbone = Config.fromfile(CONFIG).model.backbone
    cfg.model.backbone.depth = 18
    assert read(cfg.pretty_text)[1]['input']['size'] == size


def test_what_the_config_leaves_open(read):
    text = 'model = dict(backbone=dict(type="mmselfsup.ResNet", depth=18), data_preprocessor=dict(type="X"))'
    _, told = read(meta=dict(cfg=text))
    assert told['input'] == dict(channel_order='BGR', mean=[0, 0, 0], std=[1, 1, 1], size=None, view=None)
    assert (told['epochs'], told['date'], told['config']['name']) == (None, None, '')


@pytest.mark.parametrize('meta', [
    None, {}, dict(cfg=3), dict(cfg=''), dict(cfg='model = dict(neck=dict())'), dict(cfg='backbone = dict(depth=50)'),
    dict(cfg='model = dict(backbone=dict(depth=18))'),
    dict(cfg="model = dict(backbone=dict(depth=18), data_preprocessor=dict(mean='grey'))"),
])
def test_no_config_with_a_backbone(read, meta):
    with pytest.raises(CheckpointError, match='has no config of its training that names its backbone') as raised:
        read(meta=meta)
    assert sentence(raised.value).endswith('give the checkpoint as the pretraining wrote it, no export.')
