"""A detector starts from a checkpoint as pretraining wrote it, and from nothing that merely looks like one."""

import pytest
import torch
from mmcls.models import ResNet, ResNet_CIFAR
from mmengine.config import Config
from published_files import NARROW, PUBLISHED, random_resnet
from published_files import write as write_published
from torch import nn

from clim_mm.errors import CheckpointError, ConfigError
from clim_mm.transfer.start import check_fits, read_start, start_from, start_of

RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
TOLD = dict(mean=RGB['mean'], std=RGB['std'], order='RGB')


def config(start='pretraining', shared=False):
    model = dict(backbone=dict(type='ResNet', init_cfg=None))
    if shared:
        model['roi_head'] = dict(shared_head=dict(type='NormedResLayer', init_cfg=None))
    return Config(dict(model=model, custom_hooks=[dict(type='EMAHook'), dict(type='TransferPreflightHook',
                                                                            start=start)]))


def small(depth=18):
    return ResNet(depth, **NARROW)


def write(path, backbone, prefix='backbone.', preprocessor=RGB, meta=True, **more):
    weights = {f'{prefix}{name}': value for name, value in backbone.state_dict().items()}
    text = Config(dict(model=dict(type='CLIM', data_preprocessor=preprocessor))).pretty_text
    torch.save(dict(meta=dict(cfg=text) if meta else {}, state_dict={**weights, **more}), path)
    return str(path)


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    torch.manual_seed(0)
    backbone = small()
    return backbone, write(tmp_path_factory.mktemp('start') / 'epoch_1.pth', backbone, queue=torch.zeros(2, 4))


def refused(path, start='pretraining', part=None, preprocessor=RGB):
    with pytest.raises((ConfigError, CheckpointError)) as caught:
        check_fits(part or small(), preprocessor, str(path), start)
    return str(caught.value)


def test_the_config_says_what_it_starts_from():
    assert start_of(config('random')) == 'random'
    assert start_of(Config(dict(custom_hooks=[dict(type='TransferPreflightHook')]))) == 'pretraining'
    with pytest.raises(ConfigError, match='no TransferPreflightHook in custom_hooks'):
        start_of(Config(dict(custom_hooks=None)))


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('start, checkpoint, wanted', [
    ('pretraining', 'a/epoch_1.pth', dict(type='Pretrained', checkpoint='backbone://a/epoch_1.pth')),
    ('supervised', 'resnet50.pth', dict(type='Pretrained', checkpoint='backbone://resnet50.pth')),
    ('random', 'none', None)])
def test_the_checkpoint_is_given_to_all_that_is_pretrained(start, checkpoint, wanted, shared):
    cfg = config(start, shared)
    start_from(cfg, checkpoint)
    assert cfg.model.backbone.init_cfg == wanted
    assert not shared or cfg.model.roi_head.shared_head.init_cfg == wanted


@pytest.mark.parametrize('start, checkpoint, words', [
    ('pretraining', 'none', 'a config that ends in _random'), ('supervised', 'none', 'a file of supervised weights'),
    ('random', 'epoch_1.pth', 'give the word none')])
def test_a_checkpoint_that_the_config_is_not_for(start, checkpoint, words):
    with pytest.raises(ConfigError, match=words):
        start_from(config(start), checkpoint)


def test_a_sound_checkpoint(sound):
    backbone, path = sound
    weights, normalized = check_fits(small(), RGB, path, 'pretraining')
    assert normalized.startswith('Images are normalised as in the pretraining (RGB, mean [123.675')
    own = backbone.state_dict()
    assert list(weights) != [] and weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name]) for name in own)


def test_another_depth(sound):
    message = refused(sound[1], part=small(34))
    assert 'holds a ResNet-18 with a stem of 4 channels, 7 x 7, the detector has a ResNet-34' in message
    assert 'set model.backbone as the pretraining had it' in message


def test_another_stem(tmp_path):
    message = refused(write(tmp_path / 'a.pth', ResNet_CIFAR(18, **NARROW)))
    assert 'holds a ResNet-18 with a stem of 4 channels, 3 x 3, the detector has a ResNet-18' in message


def test_a_weight_too_few(tmp_path):
    path = tmp_path / 'a.pth'
    write(path, small())
    loaded = torch.load(path)
    del loaded['state_dict']['backbone.layer4.1.bn2.weight']
    torch.save(loaded, path)
    assert 'does not fit the detector\'s a ResNet-18' in refused(path) and 'layer4.1.bn2.weight' in refused(path)


def test_no_backbone(tmp_path):
    torch.save(dict(state_dict=dict(nn.Linear(2, 2).state_dict())), tmp_path / 'a.pth')
    assert 'has no backbone (its 2 entries begin with weight)' in refused(tmp_path / 'a.pth')


@pytest.mark.parametrize('prefix, owner', [
    ('backbone.bottom_up.', 'detectron2'), ('resnet.embedder.', 'transformers')])
def test_an_exported_backbone(tmp_path, prefix, owner):
    message = refused(write(tmp_path / 'a.pth', small(), prefix=prefix))
    assert f'is already exported (a backbone under the names of {owner})' in message
    assert 'give the checkpoint as pretraining wrote it' in message


def test_supervised_weights_and_a_pretraining_are_not_mistaken_for_each_other(tmp_path, sound):
    torch.save(random_resnet(narrow=True).state_dict(), tmp_path / 'resnet18.pth')
    assert 'take the config that ends in _supervised' in refused(tmp_path / 'resnet18.pth')
    assert 'take the same config without _supervised' in refused(sound[1], start='supervised')


def test_supervised_weights(tmp_path):
    network = random_resnet(narrow=True)
    torch.save(network.state_dict(), tmp_path / 'resnet18.pth')
    weights, _ = check_fits(small(), RGB, str(tmp_path / 'resnet18.pth'), 'supervised')
    assert not any(name.startswith('fc') for name in weights)
    assert torch.equal(weights['layer4.1.conv2.weight'], network.layer4[1].conv2.weight)
    old = {name: value for name, value in network.state_dict().items() if not name.endswith('num_batches_tracked')}
    torch.save(old, tmp_path / 'old.pth')
    assert check_fits(small(), RGB, str(tmp_path / 'old.pth'), 'supervised')[0].keys() == weights.keys()


def test_an_export_is_no_supervised_network(tmp_path):
    assert 'is no supervised ResNet as torchvision has them' in refused(
        write(tmp_path / 'a.pth', small(), prefix=''), start='supervised')


@pytest.mark.parametrize('change', [dict(bgr_to_rgb=False), dict(mean=[103.53, 116.28, 123.675]), dict(std=[1, 1, 1])])
def test_images_that_are_normalised_otherwise(sound, change):
    message = refused(sound[1], preprocessor=dict(RGB, **change))
    assert 'Images are normalised here by' in message and 'RGB, mean [123.675, 116.28, 103.53]' in message


def test_a_pretraining_that_was_normalised_otherwise(tmp_path):
    path = write(tmp_path / 'a.pth', small(), preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255]))
    assert 'was trained with BGR, mean [0.0, 0.0, 0.0], std [255.0, 255.0, 255.0]' in refused(path)


def test_a_checkpoint_that_does_not_tell(tmp_path):
    path = write(tmp_path / 'a.pth', small(), meta=False)
    assert 'does not tell whether its training had them so' in check_fits(small(), RGB, path, 'pretraining')[1]


def test_a_truncated_checkpoint(tmp_path, sound):
    with open(sound[1], 'rb') as file:
        (tmp_path / 'cut.pth').write_bytes(file.read()[:100_000])
    assert str(tmp_path / 'cut.pth') in refused(tmp_path / 'cut.pth')
    assert 'There is no checkpoint' in refused(tmp_path / 'nowhere.pth')


def test_reading_gives_the_normalization_too(sound):
    assert read_start(sound[1], 'pretraining').normalization == TOLD


@pytest.mark.parametrize('name', PUBLISHED)
def test_what_others_have_published(tmp_path, name):
    path, network = write_published(tmp_path / 'a.pth', name, narrow=True)
    supervised = name.startswith(('torchvision', 'timm'))
    weights, _ = check_fits(small(), RGB, path, 'supervised' if supervised else 'pretraining')
    assert torch.equal(weights['layer4.1.conv2.weight'], network.layer4[1].conv2.weight)
