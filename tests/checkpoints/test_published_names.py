"""Files as others have published them are recognised by their names, and give the same backbone."""

import pytest
import torch
from mmcls.models import ResNet
from published_files import NARROW, PUBLISHED, below, moco, random_resnet, weights_of, write

from clim_mm.checkpoints.normalization import IMAGENET
from clim_mm.checkpoints.published_names import published
from clim_mm.checkpoints.transfer import check_landed, read_backbone
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
    ({'stem.conv1.norm.weight': 0}, 'names of detectron2'), ({'backbone.bottom_up.stem.conv1.weight': 0}, 'detectron2'),
    ({'embedder.embedder.convolution.weight': 0}, 'names of transformers'),
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
