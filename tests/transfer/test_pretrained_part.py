"""What of a detector its pretraining has made; whether it is loaded, and trains."""

import pytest
from torch import nn

from clim_mm.errors import ConfigError
from clim_mm.transfer.pretrained_part import check_norms_train, check_nothing_frozen, pretrained_part


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


def test_a_model_without_a_backbone():
    with pytest.raises(ConfigError, match='wants a detector with a backbone, not Linear'):
        pretrained_part(nn.Linear(1, 1))


def test_a_frozen_weight_is_named():
    backbone = Stages()
    assert check_nothing_frozen(backbone) == 12
    backbone.layer1[0].bias.requires_grad = False
    with pytest.raises(ConfigError, match=r'1 of the backbone\'s 12 weights are frozen \(first layer1.0.bias\)'):
        check_nothing_frozen(backbone)


@pytest.mark.parametrize('mode', [True, False])
def test_norms_that_train(mode):
    found = detector(Stages()).train(mode)
    found.neck.train(not mode)
    modes = [module.training for module in found.modules()]
    assert check_norms_train(found, processes=1) == (3, False)
    assert [module.training for module in found.modules()] == modes


def test_norms_on_the_cpu_need_not_be_synchronised():
    assert check_norms_train(detector(Stages()), processes=2) == (3, False)


def test_synchronised_norms_are_told():
    assert check_norms_train(detector(Stages(nn.SyncBatchNorm)), processes=2) == (3, True)
    assert check_norms_train(detector(Stages(nn.SyncBatchNorm)), processes=1) == (3, False)


def test_norms_that_stay_in_evaluation_mode():
    with pytest.raises(ConfigError, match=r'3 of the backbone\'s 3 norms .* \(first bn1\).* norm_eval=False'):
        check_norms_train(detector(Stages(norm_eval=True)), processes=1)


def test_no_norms():
    with pytest.raises(ConfigError, match='has no batch normalisation'):
        check_norms_train(detector(Stages(lambda channels: nn.GroupNorm(2, channels))), processes=1)
