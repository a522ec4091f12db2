"""A detector takes a checkpoint as pretraining wrote it, nothing that merely looks like one, and trains all of it."""

import pytest
import torch
from mmcls.models import ResNet, ResNet_CIFAR
from mmengine.config import Config
from published_files import NARROW, PUBLISHED, random_resnet
from published_files import write as write_published
from torch import nn

from clim_mm.errors import CheckpointError, ConfigError
from clim_mm.transfer.detector_checks import check_fits, check_norms_train, check_nothing_frozen, pretrained_part

RGB = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)


class Stages(nn.Module):
    """A backbone in small: a stem and two stages."""

    def __init__(self, norm=nn.BatchNorm2d, stages=2, norm_eval=False):
        super().__init__()
        self.conv1, self.bn1, self.norm_eval = nn.Conv2d(3, 4, 3), norm(4), norm_eval
        for number in range(1, stages + 1):
            self.add_module(f'layer{number}', nn.Sequential(nn.Conv2d(4, 4, 3), norm(4)))

    def train(self, mode=True):  # noqa: D102
        super().train(mode)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


def detector(backbone, shared=None):
    found = nn.Module()
    found.backbone, found.roi_head = backbone, nn.Module()
    found.neck = nn.Conv2d(4, 4, 1)
    if shared is not None:
        found.roi_head.shared_head = shared
    return found


def test_the_backbone_alone():
    backbone = Stages()
    part = pretrained_part(detector(backbone))
    assert list(part.state_dict()) == list(backbone.state_dict())
    assert part.conv1 is backbone.conv1


def test_with_c4_the_shared_head_belongs_to_it_and_its_new_norm_does_not():
    shared = nn.Module()
    shared.layer3, shared.norm = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    part = pretrained_part(detector(Stages(), shared))
    assert [name for name, _ in part.named_children()] == ['conv1', 'bn1', 'layer1', 'layer2', 'layer3']


def test_a_frozen_weight_is_named():
    backbone = Stages()
    assert check_nothing_frozen(backbone) == 12
    backbone.layer1[0].bias.requires_grad = False
    with pytest.raises(ConfigError, match=r'1 of the backbone\'s 12 weights are frozen \(first layer1.0.bias\)'):
        check_nothing_frozen(backbone)


@pytest.mark.parametrize('mode', [True, False])
def test_norms_that_train(mode):
    found = detector(Stages()).train(mode)
    assert check_norms_train(found, processes=1) == (3, False)


def test_norms_on_the_cpu_need_not_be_synchronised():
    assert check_norms_train(detector(Stages()), processes=2) == (3, False)


def test_synchronised_norms_are_told():
    assert check_norms_train(detector(Stages(nn.SyncBatchNorm)), processes=2) == (3, True)
    assert check_norms_train(detector(Stages(nn.SyncBatchNorm)), processes=1) == (3, False)


def test_norms_that_stay_in_evaluation_mode():
    with pytest.raises(ConfigError, match=r'3 of the backbone\'s 3 norms .* \(first bn1\).* norm_eval=False'):
        check_norms_train(detector(Stages(norm_eval=True)), processes=1)


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


def test_a_sound_checkpoint(sound):
    backbone, path = sound
    weights, normalized = check_fits(small(), RGB, path, 'pretraining')
    assert normalized.startswith('Images are normalised as in the pretraining (RGB, mean [123.675')
    own = backbone.state_dict()
    assert list(weights) != [] and weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name]) for name in own)


def test_another_depth(sound):
    message = refused(sound[1], part=small(34))
    assert 'missing: layer1.2.conv1.weight' in message
    assert 'set model.backbone as the pretraining had it' in message


def test_another_stem(tmp_path):
    message = refused(write(tmp_path / 'a.pth', ResNet_CIFAR(18, **NARROW)))
    assert 'conv1.weight (4, 3, 3, 3) instead of (4, 3, 7, 7)' in message


def test_a_weight_too_few(tmp_path):
    path = tmp_path / 'a.pth'
    write(path, small())
    loaded = torch.load(path)
    del loaded['state_dict']['backbone.layer4.1.bn2.weight']
    torch.save(loaded, path)
    assert 'does not fit the detector\'s backbone' in refused(path) and 'layer4.1.bn2.weight' in refused(path)


def test_no_backbone(tmp_path):
    torch.save(dict(state_dict=dict(nn.Linear(2, 2).state_dict())), tmp_path / 'a.pth')
    assert 'has no backbone (its 2 entries begin with weight)' in refused(tmp_path / 'a.pth')


def test_an_exported_backbone(tmp_path):
    message = refused(write(tmp_path / 'a.pth', small(), prefix='backbone.bottom_up.'))
    assert 'does not fit the detector\'s backbone' in message and 'bottom_up.conv1.weight' in message


def test_supervised_weights_and_a_pretraining_are_not_mistaken_for_each_other(tmp_path, sound):
    torch.save(random_resnet(narrow=True).state_dict(), tmp_path / 'resnet18.pth')
    assert 'resnet18.pth is a supervised ResNet' in refused(tmp_path / 'resnet18.pth')
    assert 'epoch_1.pth is no supervised ResNet' in refused(sound[1], start='supervised')


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
    assert 'is no supervised ResNet (with the names of torchvision' in refused(
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


@pytest.mark.parametrize('name', PUBLISHED)
def test_what_others_have_published(tmp_path, name):
    path, network = write_published(tmp_path / 'a.pth', name, narrow=True)
    supervised = name.startswith(('torchvision', 'timm'))
    weights, _ = check_fits(small(), RGB, path, 'supervised' if supervised else 'pretraining')
    assert torch.equal(weights['layer4.1.conv2.weight'], network.layer4[1].conv2.weight)
