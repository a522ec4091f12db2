"""A ResNet is told by the names and shapes of its weights."""

import pytest
from mmcls.models import ResNet, ResNet_CIFAR, ResNetV1d
from torchvision.models import resnet50

from clim_mm.transfer.resnet_names import described


@pytest.mark.parametrize('depth', [18, 34, 50, 101])
def test_depths(depth):
    assert described(ResNet(depth).state_dict()) == f'a ResNet-{depth} with a stem of 64 channels, 7 x 7'


def test_other_stems():
    assert described(ResNet_CIFAR(18).state_dict()) == 'a ResNet-18 with a stem of 64 channels, 3 x 3'
    assert described(ResNetV1d(depth=50).state_dict()) == 'a ResNet-50 with a deep stem'
    assert described(ResNet(18, stem_channels=8, base_channels=8).state_dict()) == (
        'a ResNet-18 with a stem of 8 channels, 7 x 7')


def test_without_the_last_stage():
    weights = {name: value for name, value in ResNet(50).state_dict().items() if not name.startswith('layer4')}
    assert described(weights) == 'a ResNet of 3+4+6 blocks with a stem of 64 channels, 7 x 7'


def test_no_resnet():
    assert described({}) == 'no ResNet' and described({'head.weight': None}) == 'no ResNet'


def test_torchvisions_names_are_mmclassifications():
    theirs = resnet50(weights=None).state_dict()
    assert described(theirs) == 'a ResNet-50 with a stem of 64 channels, 7 x 7'
    assert {name for name in theirs if not name.startswith('fc.')} == set(ResNet(50).state_dict())
