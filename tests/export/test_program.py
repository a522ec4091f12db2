"""A backbone of any kind, with its computation."""

import zipfile

import pytest
import torch
from mmcls.models.backbones import ResNet_CIFAR
from written_checkpoints import config_text, features_of, written

from clim_mm.errors import UserError, sentence
from clim_mm.export import export, read_header

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures('one_torch_thread')]

SMALL = dict(depth=18, stem_channels=16, base_channels=16, out_indices=(3, ))  # that of the digits


@pytest.fixture(scope='module')
def small():
    """As the digits' configs have it, with statistics of its own."""
    torch.manual_seed(0)
    model = ResNet_CIFAR(**SMALL)
    model(torch.randn(8, 3, 16, 16))
    model.eval()
    return model


@pytest.fixture(scope='module')
def program(small, tmp_path_factory):
    """The path of its export, and what was said of it."""
    folder = tmp_path_factory.mktemp('program')
    checkpoint = written(folder / 'epoch_20.pth', small, config_text(type='mmcls.ResNet_CIFAR', **SMALL))
    return str(folder / 'small.pt2'), export(checkpoint, 'torch', str(folder / 'small.pt2'))


@pytest.mark.parametrize('number, height, width', [(1, 16, 16), (3, 40, 24), (2, 224, 224)])
def test_torch_alone_runs_a_slim_network(program, small, number, height, width):
    network = torch.export.load(program[0]).module()
    batch = torch.randn(number, 3, height, width)
    last, pooled = network(batch)
    torch.testing.assert_close(last, features_of(small, batch)[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(pooled, last.mean(dim=(2, 3)), rtol=0, atol=1e-5)


def test_the_header(program):
    path, exported = program
    assert read_header(path) == exported.header
    assert exported.header['architecture'] == 'resnet_cifar18' and exported.header['target'] == 'torch'
    with zipfile.ZipFile(path) as archive:
        assert b'site-packages' not in archive.read('archive/models/model.json'), 'it holds no paths of a machine'


def refusal(model, tmp_path, **settings):
    checkpoint = written(tmp_path / 'x.pth', model, config_text(**settings))
    with pytest.raises(UserError) as raised:
        export(checkpoint, 'torch', str(tmp_path / 'x.pt2'))
    assert not (tmp_path / 'x.pt2').exists()
    return sentence(raised.value)


def test_weights_of_another_network(small, tmp_path):
    text = refusal(small, tmp_path, **dict(SMALL, type='mmcls.ResNet_CIFAR', base_channels=8))
    assert 'are not those of its backbone, mmcls.ResNet_CIFAR (' in text


@pytest.mark.parametrize('settings, words', [
    (dict(type='os.system', depth=18), 'names os.system, which is no part of this installation'),
    (dict(type='mmcls.ResNet_CIFAR', depth=18, norm_cfg=dict(type='subprocess.Popen')), 'names subprocess.Popen'),
    (dict(type='mmcls.NoSuchNetwork', depth=18), 'mmcls.NoSuchNetwork, cannot be built here ('),
    (dict(type='mmcls.ResNet_CIFAR', depth=18, odd=1), 'mmcls.ResNet_CIFAR, cannot be built here ('),
])
def test_a_config_that_names_something_else(small, tmp_path, settings, words):
    assert words in refusal(small, tmp_path, **settings)
