"""The libraries' own networks, loaded as docs/export.md says, give the original's features."""

import socket
import sys

import pytest
import timm
import torch
import torchvision
import transformers
from PIL import Image
from torch import nn
from transformers import AutoImageProcessor, AutoModel, ResNetConfig, ResNetModel
from written_checkpoints import features_of, images, random_resnet, written

from clim_mm.export import export, library_of
from clim_mm.export.formats import FORMATS, huggingface_config

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures('one_torch_thread')]


@pytest.fixture(scope='module')
def exports(tmp_path_factory):
    """The path of an export and the original: ``exports(depth, target)``."""
    folder, originals = tmp_path_factory.mktemp('exports'), {}

    def exported(depth, target):
        if depth not in originals:
            originals[depth] = random_resnet(depth, seed=depth)
            written(folder / f'{depth}.pth', originals[depth])
        out = folder / (f'{depth}_{target}' if target == 'huggingface' else f'{depth}_{target}.pth')
        if not out.exists():
            export(str(folder / f'{depth}.pth'), target, str(out))
        return str(out), originals[depth]

    return exported


def assert_same_features(own, last, pooled):
    """To the bound that the export promises, on features that are not all zero."""
    assert own[0].abs().mean() > 0.05 and own[0].shape == last.shape
    assert (own[0] - last).abs().max() <= 1e-5
    assert (own[1] - pooled.flatten(1)).abs().max() <= 1e-5


@pytest.mark.parametrize('depth', [18, 50])
def test_torchvision(exports, depth):
    path, original = exports(depth, 'torchvision')
    model = getattr(torchvision.models, f'resnet{depth}')()
    found = model.load_state_dict(torch.load(path, weights_only=True), strict=False)
    assert found.missing_keys == ['fc.weight', 'fc.bias'] and not found.unexpected_keys
    model.fc = nn.Identity()
    model.load_state_dict(torch.load(path, weights_only=True))
    model.eval()
    with torch.no_grad():
        last = nn.Sequential(*list(model.children())[:-2])(images(1))
        assert_same_features(features_of(original, images(1)), last, model(images(1)))


@pytest.mark.parametrize('depth', [18, 50])
def test_timm(exports, depth):
    path, original = exports(depth, 'timm')
    model = timm.create_model(f'resnet{depth}', num_classes=0, checkpoint_path=path).eval()
    with torch.no_grad():
        assert_same_features(features_of(original, images(1)), model.forward_features(images(1)), model(images(1)))


@pytest.mark.parametrize('depth', [18, 50])
def test_transformers(exports, depth, monkeypatch):
    def refuse(*_):
        raise AssertionError('nothing may be downloaded')

    path, original = exports(depth, 'huggingface')
    monkeypatch.setattr(socket.socket, 'connect', refuse)
    own = features_of(original, images(1))
    for load in (ResNetModel.from_pretrained, AutoModel.from_pretrained):
        model, info = load(path, output_loading_info=True)
        assert type(model) is ResNetModel and not model.training
        assert not any(info.values()), info
        with torch.no_grad():
            output = model(images(1))
        assert_same_features(own, output.last_hidden_state, output.pooler_output)


def test_transformers_prepares_images_as_the_pretraining_did(exports):
    prepare = AutoImageProcessor.from_pretrained(exports(18, 'huggingface')[0])
    prepared = prepare(Image.new('RGB', (300, 260), (255, 0, 100)), return_tensors='pt')['pixel_values']
    assert prepared.shape == (1, 3, 224, 224)
    wanted = [(value - mean) / std for value, mean, std in zip(
        (255, 0, 100), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), strict=True)]
    torch.testing.assert_close(prepared[0, :, 100, 100], torch.tensor(wanted), rtol=0, atol=1e-4)


def test_what_the_check_is_against():
    assert library_of('torchvision').name == f'torchvision {torchvision.__version__}'
    assert library_of('timm').name == f'timm {timm.__version__}'
    assert library_of('huggingface').name == f'transformers {transformers.__version__}'
    assert library_of('detectron2').name == f'torchvision {torchvision.__version__}, with the names mapped back'


@pytest.mark.parametrize('target, module', [
    ('timm', 'timm.models'), ('huggingface', 'transformers.models.resnet.modeling_resnet'),
    ('mmdet', 'mmdet.models.backbones'),
])
def test_a_library_that_is_not_installed(target, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # importing it fails now
    assert library_of(target).name == f'torchvision {torchvision.__version__}, with the names mapped back'
    out = str(tmp_path / ('out' if target == 'huggingface' else 'out.pth'))
    resnet18 = random_resnet(18)
    exported = export(written(tmp_path / 'epoch_200.pth', resnet18), target, out)
    assert exported.difference <= 1e-5
    assert exported.header['parity']['against'].startswith('torchvision ')
    with torch.no_grad():
        last, pooled = library_of(target).load(out, 18)(images(1))
    assert_same_features(features_of(resnet18, images(1)), last, pooled)


@pytest.mark.parametrize('depth', [18, 34, 50, 101, 152])
def test_all_names_of_torchvision_and_transformers(depth):
    with torch.device('meta'):
        network = getattr(torchvision.models, f'resnet{depth}')()
        network.fc = torch.nn.Identity()
        own = network.state_dict()
        renamed = FORMATS['huggingface'].tensors(own)
        theirs = ResNetModel(ResNetConfig(**huggingface_config(renamed))).state_dict()
    assert {name: value.shape for name, value in renamed.items()} == {k: v.shape for k, v in theirs.items()}
    assert list(FORMATS['timm'].tensors(own)) == list(own) == list(FORMATS['mmdet'].tensors(own))
    assert FORMATS['torchvision'].tensors(own).keys() == own.keys()
