"""What each library calls the tensors, what its file holds, and that it is data alone."""

import json
from collections import OrderedDict

import pytest
import torch
from detectron2_r50 import detectron2_resnet50, published_shapes
from safetensors import safe_open
from written_checkpoints import features_of, images, random_resnet

from clim_mm.checkpoints import read_checkpoint
from clim_mm.export import FORMATS
from clim_mm.export.formats import detectron2_name, huggingface_config, huggingface_folder, huggingface_name

pytestmark = pytest.mark.usefixtures('one_torch_thread')

TENSORS = {'torchvision': 120, 'timm': 120, 'detectron2': 100, 'mmdet': 120}  # 20 convolutions; 20 counters


@pytest.mark.parametrize('target', TENSORS)
def test_plain_tensors_that_load_as_weights_only(target, export18, resnet18):
    path, exported = export18(target)
    loaded = torch.load(path, weights_only=True)
    tensors = dict(detectron2=lambda: loaded['model'], mmdet=lambda: loaded['state_dict']).get(target, lambda: loaded)()
    assert {type(value) for value in tensors.values()} == {torch.Tensor}
    assert {value.dtype for value in tensors.values()} <= {torch.float32, torch.int64}
    assert len(tensors) == exported.num_tensors == TENSORS[target]
    own = resnet18.state_dict()
    for name, value in own.items():
        if target != 'detectron2' or 'num_batches' not in name:
            assert torch.equal(tensors[FORMATS[target].rename(name)], value), name


def test_the_parts_around_the_tensors(export18):
    flat = torch.load(export18('torchvision')[0], weights_only=True)
    assert type(flat) is OrderedDict and all('.' in name for name in flat)
    assert set(torch.load(export18('mmdet')[0], weights_only=True)) == {'meta', 'state_dict'}
    zoo = torch.load(export18('detectron2')[0], weights_only=True)
    assert set(zoo) == {'model', '__author__', 'matching_heuristics', 'clim_mm'}
    assert zoo['matching_heuristics'] is True and zoo['__author__'] != 'Caffe2'
    assert read_checkpoint(export18('detectron2')[0]).keys() == zoo.keys()


def test_the_folder_for_hugging_face(export18, resnet18):
    path, exported = export18('huggingface')
    with safe_open(f'{path}/model.safetensors', 'pt') as file:
        assert file.metadata()['format'] == 'pt'
        assert len(file.keys()) == exported.num_tensors == 120
        shortcut = file.get_tensor('encoder.stages.1.layers.0.shortcut.normalization.running_mean')
    assert torch.equal(shortcut, resnet18.layer2[0].downsample[1].running_mean)
    with open(f'{path}/config.json') as file:
        config = json.load(file)
    assert (config['depths'], config['layer_type']) == ([2, 2, 2, 2], 'basic')
    assert (config['embedding_size'], config['hidden_sizes']) == (64, [64, 128, 256, 512])
    with open(f'{path}/preprocessor_config.json') as file:
        prepared = json.load(file)
    assert prepared['image_mean'] == pytest.approx([0.485, 0.456, 0.406], abs=1e-6)
    assert prepared['image_std'] == pytest.approx([0.229, 0.224, 0.225], abs=1e-6)
    assert prepared['size'] == dict(shortest_edge=224)


@pytest.mark.parametrize('change', [dict(channel_order='BGR'), dict(size=None)])
def test_no_preparation_of_images_that_transformers_does_not_have(export18, resnet18, change):
    header = export18('huggingface')[1].header
    tensors = FORMATS['huggingface'].tensors(resnet18.state_dict())
    assert set(huggingface_folder(tensors, header)) == {'config.json', 'model.safetensors', 'preprocessor_config.json'}
    changed = dict(header, input=dict(header['input'], **change))
    assert set(huggingface_folder(tensors, changed)) == {'config.json', 'model.safetensors'}


def test_the_config_of_a_deep_network():
    with torch.device('meta'):
        import torchvision
        model = torchvision.models.resnet152()
        model.fc = torch.nn.Identity()
    config = huggingface_config(FORMATS['huggingface'].tensors(model.state_dict()))
    assert config['depths'] == [3, 8, 36, 3] and config['layer_type'] == 'bottleneck'
    assert config['embedding_size'] == 64 and config['hidden_sizes'] == [256, 512, 1024, 2048]
    assert not config['downsample_in_bottleneck'] and not config['downsample_in_first_stage']


@pytest.mark.parametrize('name, in_detectron2, in_transformers', [
    ('conv1.weight', 'stem.conv1.weight', 'embedder.embedder.convolution.weight'),
    ('bn1.running_var', 'stem.conv1.norm.running_var',
     'embedder.embedder.normalization.running_var'),
    ('layer1.0.conv3.weight', 'res2.0.conv3.weight',
     'encoder.stages.0.layers.0.layer.2.convolution.weight'),
    ('layer3.22.bn2.bias', 'res4.22.conv2.norm.bias',
     'encoder.stages.2.layers.22.layer.1.normalization.bias'),
    ('layer4.0.downsample.0.weight', 'res5.0.shortcut.weight',
     'encoder.stages.3.layers.0.shortcut.convolution.weight'),
    ('layer2.0.downsample.1.weight', 'res3.0.shortcut.norm.weight',
     'encoder.stages.1.layers.0.shortcut.normalization.weight'),
])
def test_each_kind_of_tensor(name, in_detectron2, in_transformers):
    assert detectron2_name(name) == in_detectron2 and huggingface_name(name) == in_transformers


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
