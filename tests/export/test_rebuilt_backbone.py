"""Which backbones other libraries have a model for."""

import pytest
import torch
import torchvision
from mmcls.models.backbones import ResNet_CIFAR
from mmselfsup.models.backbones import ResNet, ResNetV1d
from written_checkpoints import features_of, images

from clim_mm.errors import ConfigError, sentence
from clim_mm.export import DEPTHS
from clim_mm.export.backbone import depth_of, rebuilt_backbone

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def plain_resnet(weights, settings, checkpoint):
    return rebuilt_backbone(weights, settings, checkpoint, plain=True)


@pytest.mark.parametrize('depth', DEPTHS)
def test_the_depth_is_that_of_the_blocks(depth):
    with torch.device('meta'):
        weights = getattr(torchvision.models, f'resnet{depth}')().state_dict()
    assert depth_of(weights) == depth
    # The last block of the third stage: no ResNet has one fewer.
    last = max(int(name.split('.')[1]) for name in weights if name.startswith('layer3.'))
    assert depth_of({name: weights[name] for name in weights if not name.startswith(f'layer3.{last}.')}) is None
    assert DEPTHS == (18, 34, 50, 101, 152)


def test_the_network_is_the_pretrained_one(resnet18):
    settings = dict(type='mmselfsup.ResNet', depth=18, strides=[1, 2, 2, 2], norm_cfg=dict(type='SyncBN'))
    model = plain_resnet(resnet18.state_dict(), settings, 'x.pth')
    assert not model.training and model.depth == 18
    torch.testing.assert_close(features_of(model, images()), features_of(resnet18, images()), rtol=0, atol=0)


def test_half_precision_becomes_float32(resnet18):
    halves = {name: value.half() if value.is_floating_point() else value
              for name, value in resnet18.state_dict().items()}
    model = plain_resnet(halves, {}, 'x.pth')
    assert model.conv1.weight.dtype == torch.float32
    assert torch.equal(model.layer4[1].bn2.running_var, resnet18.layer4[1].bn2.running_var.half().float())


def refusal(weights, **settings):
    with pytest.raises(ConfigError) as raised:
        plain_resnet(weights, settings, 'x.pth')
    return sentence(raised.value)


@pytest.mark.parametrize('model, words', [
    (lambda: ResNet_CIFAR(depth=18), 'of another shape: conv1.weight (64, 3, 3, 3) instead of (64, 3, 7, 7)'),
    (lambda: ResNetV1d(depth=18), 'unknown to the model: stem.0.conv.weight'),
    (lambda: ResNet(depth=18, deep_stem=True), 'unknown to the model: stem.0.conv.weight'),
    (lambda: ResNet(depth=18, stem_channels=8, base_channels=8), 'conv1.weight (8, 3, 7, 7) instead of (64, 3, 7, 7)'),
    (lambda: ResNet(depth=18, in_channels=2), 'conv1.weight (64, 2, 7, 7) instead of (64, 3, 7, 7)'),
    (lambda: ResNet(depth=18, base_channels=32), 'of another shape: layer1.0.conv1.weight (32, 64, 3, 3) instead of'),
    (lambda: ResNet(depth=18, avg_down=True), 'missing: layer2.0.downsample.0.weight'),
    (lambda: ResNet(depth=18, norm_cfg=dict(type='GN', num_groups=4)), 'missing: bn1.weight'),
])
def test_another_network(model, words):
    text = refusal(model().state_dict())
    assert text.startswith('The backbone of x.pth is no plain ResNet of 18, 34, 50, 101, 152 layers (')
    assert words in text and text.endswith('with its usual stem, widths and strides.')


@pytest.mark.parametrize('settings, words', [
    (dict(type='mmcls.ResNet_CIFAR'), 'it is a mmcls.ResNet_CIFAR'),
    (dict(type='mmcls.ResNeXt'), 'it is a mmcls.ResNeXt'),
    (dict(style='caffe'), 'style=caffe'),
    (dict(strides=(1, 2, 2, 1)), 'strides=(1, 2, 2, 1)'),
    (dict(dilations=[1, 1, 1, 2]), 'dilations=[1, 1, 1, 2]'),
    (dict(avg_down=True), 'avg_down=True'),
    (dict(conv_cfg=dict(type='ConvWS')), 'conv_cfg='),
    (dict(norm_cfg=dict(type='BN', eps=0.001)), 'eps=0.001 of its normalisation'),
    (dict(depth=34), 'its config says depth=34'),
])
def test_settings_that_the_weights_do_not_show(resnet18, settings, words):
    text = refusal(resnet18.state_dict(), **settings)
    assert 'is no plain ResNet' in text and words in text


def test_frozen_stages(resnet18):
    text = refusal(resnet18.state_dict(), frozen_stages=4)
    assert 'has left stages of its backbone as they were (frozen_stages=4)' in text
    assert text.endswith('export the checkpoint of the pretraining that trained them.')
    plain_resnet(resnet18.state_dict(), dict(frozen_stages=-1), 'x.pth')


def test_a_frozen_stem_alone(resnet18):
    assert '(frozen_stages=0)' in refusal(resnet18.state_dict(), frozen_stages=0)


def test_weights_that_are_missing_left_over_or_not_finite(resnet18):
    weights = resnet18.state_dict()
    fewer = {name: value for name, value in weights.items() if name != 'layer2.0.bn1.running_mean'}
    assert '1 missing: layer2.0.bn1.running_mean' in refusal(fewer)
    assert '1 unknown to the model: fc.weight' in refusal(dict(weights, **{'fc.weight': torch.zeros(2, 512)}))
    assert '40 missing: bn1.running_mean' in refusal({k: v for k, v in weights.items() if 'running' not in k})
    shorter = {name: value for name, value in weights.items() if not name.startswith('layer4.1.')}
    assert 'no ResNet has as many blocks' in refusal(shorter)
    bad = dict(weights, **{'layer1.0.bn1.bias': torch.full((64, ), float('nan'))})
    text = refusal(bad)
    assert text.startswith('layer1.0.bn1.bias of the backbone of x.pth has non-finite values')
