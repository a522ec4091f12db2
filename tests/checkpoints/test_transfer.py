"""Whether a backbone has all of a checkpoint's weights, and whether it keeps them."""

import copy

import pytest
import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from clim_mm.checkpoints.transfer import SCHEME, backbone_init, changed, check_landed, read_start
from clim_mm.errors import ConfigError


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


@pytest.mark.parametrize('init_cfg', [dict(prefix='backbone.'), dict(prefix='backbone'), {}])
def test_the_weights_of_the_backbone(saved, init_cfg):
    path, backbone = saved
    weights = read_start(dict(init_cfg, checkpoint=path)).backbone
    assert list(weights) == ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var',
                             '1.num_batches_tracked']
    assert check_landed(backbone, weights, path) == 7
    assert read_start(backbone_init(path)).backbone.keys() == weights.keys()


def test_another_part_by_its_prefix(saved):
    path, _ = saved
    assert list(read_start(dict(checkpoint=path, prefix='neck.')).backbone) == ['weight']


def test_mmengine_loads_the_backbone_alone(saved):
    path, backbone = saved
    loaded = CheckpointLoader.load_checkpoint(f'{SCHEME}{path}')
    assert loaded['state_dict'].keys() == backbone.state_dict().keys()


def test_the_counters_of_old_files_are_not_missed(saved):
    path, backbone = saved
    weights = read_start(dict(checkpoint=path)).backbone
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
    weights = copy.deepcopy(read_start(dict(checkpoint=path)).backbone)
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
