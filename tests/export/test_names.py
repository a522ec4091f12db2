"""The libraries' names of a ResNet's tensors."""

import pytest
import torch
from detectron2_r50 import detectron2_resnet50, published_shapes
from written_checkpoints import features_of, images, random_resnet

from clim_mm.errors import ConfigError, sentence
from clim_mm.export.formats import FORMATS
from clim_mm.export.names import Place, detectron2, huggingface, place_of

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.mark.parametrize('name, place, in_detectron2, in_transformers', [
    ('conv1.weight', Place(0, 0, 1, False, 'weight'), 'stem.conv1.weight', 'embedder.embedder.convolution.weight'),
    ('bn1.running_var', Place(0, 0, 1, True, 'running_var'), 'stem.conv1.norm.running_var',
     'embedder.embedder.normalization.running_var'),
    ('layer1.0.conv3.weight', Place(1, 0, 3, False, 'weight'), 'res2.0.conv3.weight',
     'encoder.stages.0.layers.0.layer.2.convolution.weight'),
    ('layer3.22.bn2.bias', Place(3, 22, 2, True, 'bias'), 'res4.22.conv2.norm.bias',
     'encoder.stages.2.layers.22.layer.1.normalization.bias'),
    ('layer4.0.downsample.0.weight', Place(4, 0, 0, False, 'weight'), 'res5.0.shortcut.weight',
     'encoder.stages.3.layers.0.shortcut.convolution.weight'),
    ('layer2.0.downsample.1.weight', Place(2, 0, 0, True, 'weight'), 'res3.0.shortcut.norm.weight',
     'encoder.stages.1.layers.0.shortcut.normalization.weight'),
])
def test_each_kind_of_tensor(name, place, in_detectron2, in_transformers):
    assert place_of(name) == place
    assert detectron2(name) == in_detectron2 and huggingface(name) == in_transformers


@pytest.mark.parametrize('name', ['fc.weight', 'layer5.0.conv1.weight', 'stem.0.conv.weight', 'layer1.0.gn1.bias', 'x'])
def test_no_tensor_of_a_resnet(name):
    with pytest.raises(ConfigError) as raised:
        detectron2(name)
    assert sentence(raised.value).startswith(f'No plain ResNet has a tensor {name}: ')


def test_detectron2s_names_are_those_of_its_published_resnet50():
    published = published_shapes()
    assert len(published) == 265
    weights = random_resnet(50).state_dict()
    ours = FORMATS['detectron2'].tensors(weights)
    assert {name: tuple(value.shape) for name, value in ours.items()} == published


def test_detectron2s_network_gives_the_same():
    model = random_resnet(50)
    tensors = FORMATS['detectron2'].tensors(model.state_dict())
    with torch.no_grad():
        theirs = detectron2_resnet50(tensors, images(1))
    own, _ = features_of(model, images(1))
    assert own.abs().mean() > 0.05 and (theirs - own).abs().max() < 1e-5
