"""Files as others have published them are recognised by their names, and give the same backbone."""

import copy

import pytest
import torch
from mmcls.models import ResNet
from mmengine.runner import CheckpointLoader
from published_files import NARROW, PUBLISHED, below, moco, random_resnet, weights_of, write
from torch import nn

from clim_mm.checkpoints.backbone import SCHEME, backbone_init, check_landed, checkpoint_of, published, read_backbone
from clim_mm.checkpoints.normalization import IMAGENET
from clim_mm.checkpoints.weights import changed
from clim_mm.errors import ConfigError


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_backbone_lands_whole(tmp_path, name):
    path, network = write(tmp_path / f'{name}.pth', name, narrow=True)
    found = read_backbone(path)
    assert found.owner == PUBLISHED[name][1] and found.classifies == name.startswith(('torchvision', 'timm'))
    backbone = ResNet(18, **NARROW)
    backbone.load_state_dict(found.backbone, strict=False)
    assert check_landed(backbone, found.backbone, path) == 120
    own = backbone.state_dict()
    assert all(torch.equal(own[key], value) for key, value in weights_of(network, classifier=False).items()
               if 'num_batches' not in key)


@pytest.mark.parametrize('name', PUBLISHED)
def test_how_images_were_normalised_is_known_of_some(tmp_path, name):
    known = name.startswith(('moco', 'torchvision', 'timm', 'swav', 'dino_full'))
    path, _ = write(tmp_path / 'a.pth', name, narrow=True)
    assert read_backbone(path).normalization == (IMAGENET if known else None)


def test_neck_and_momentum_encoder_of_moco():
    network = random_resnet(narrow=True)
    weights = published(moco(network)).weights
    assert set(weights) == {
        *below('backbone.', weights_of(network, False)), *below('encoder_k.module.0.', weights_of(network, False)),
        *(f'{part}.{layer}.{leaf}' for part in ('neck.mlp', 'encoder_k.module.1.mlp') for layer in (0, 2)
          for leaf in ('weight', 'bias')), 'encoder_k.steps'}
    assert weights['encoder_k.steps'] > 0


def test_other_architectures_stay_as_they_are():
    weights = {'backbone.features.0.weight': torch.zeros(1), 'head.fc.weight': torch.zeros(1)}
    assert published(dict(state_dict=weights)).weights == weights


@pytest.mark.parametrize('weights, words', [
    ({'stem.conv1.norm.weight': 0}, 'its 1 entries begin with stem.conv1.norm'),
    ({'features.0.weight': 0, 'features.0.bias': 0}, 'has no backbone .its 2 entries begin with features.0.weight'),
    ({}, 'its 0 entries begin with nothing')])
def test_what_has_no_backbone(tmp_path, weights, words):
    torch.save(dict(state_dict={name: torch.zeros(1) for name in weights}), tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match=words):
        read_backbone(str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('prefix', ['backbone.', 'backbone.timm_model.', 'backbone.net.'])
def test_a_models_own_names_are_left_alone(prefix):
    weights = below(prefix, weights_of(random_resnet(narrow=True)))
    assert published(dict(state_dict=weights)).weights == weights


def test_of_two_networks_none_is_taken():
    weights = weights_of(random_resnet(narrow=True), False)
    both = {**below('online.', weights), **below('target.', weights)}
    assert published(dict(state_dict=both)).backbone == {}


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


@pytest.fixture
def saved(tmp_path):
    """A checkpoint with a backbone and more, its file, and the backbone."""
    backbone = network()
    weights = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    path = str(tmp_path / 'epoch_3.pth')
    torch.save(dict(state_dict=dict(weights, queue=torch.zeros(2, 2), **{'neck.weight': torch.ones(1)}), meta={}), path)
    return path, backbone


def test_the_weights_of_the_backbone(saved):
    path, backbone = saved
    weights = read_backbone(path).backbone
    assert list(weights) == ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var',
                             '1.num_batches_tracked']
    assert check_landed(backbone, weights, path) == 7
    assert checkpoint_of(backbone_init(path)) == path


def test_mmengine_loads_the_backbone_alone(saved):
    path, backbone = saved
    loaded = CheckpointLoader.load_checkpoint(f'{SCHEME}{path}')
    assert loaded['state_dict'].keys() == backbone.state_dict().keys()


def test_the_counters_of_old_files_are_not_missed(saved):
    path, backbone = saved
    weights = read_backbone(path).backbone
    del weights['1.num_batches_tracked']
    assert check_landed(backbone, weights, path) == 7


@pytest.mark.parametrize('change, words', [
    (lambda weights: weights.pop('1.running_var'), '1 missing: 1.running_var'),
    (lambda weights: weights.update(more=torch.zeros(1)), '1 unknown to the model: more'),
    (lambda weights: weights.update({'0.weight': torch.zeros(4, 3, 3, 3)}), r'1 of another shape: 0.weight'),
    (lambda weights: weights['0.bias'].add_(1e-6),
     '1 of the backbone.s 7 weights are not those of mine.pth .first 0.bias'),
    (lambda weights: weights.clear(), '6 missing'),
])
def test_what_has_not_landed(saved, change, words):
    path, backbone = saved
    weights = copy.deepcopy(read_backbone(path).backbone)
    change(weights)
    with pytest.raises(ConfigError, match=words):
        check_landed(backbone, weights, 'mine.pth')


def test_what_has_changed():
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert changed(model.state_dict(), before) == []
    model(torch.rand(2, 3, 2, 2))
    assert changed(model.state_dict(), before) == ['1.running_mean', '1.running_var', '1.num_batches_tracked']
    with torch.no_grad():
        model[0].bias[1] += 1e-7
    assert changed(model.state_dict(), before)[0] == '0.bias'
