"""The weights that features are taken with."""

import published_files
import pytest
import torch
from mmcls.models import ResNet
from mmengine.config import Config
from training_runs import CHANNELS, model_cfg

from clim_mm.errors import CheckpointError, ConfigError
from clim_mm.evaluation import load_model


def config(**model):
    return Config(dict(default_scope='clim_mm', model=model_cfg(**model), randomness=dict(seed=0)))


def test_a_checkpoints_weights(tmp_path):
    torch.manual_seed(5)
    weights = {name: torch.randn(value.shape) if value.is_floating_point() else value
               for name, value in load_model(config()).state_dict().items()}
    torch.save(dict(state_dict=weights, meta=dict(epoch=1)), tmp_path / 'epoch_1.pth')
    torch.save(weights, tmp_path / 'bare.pth')
    for name in ('epoch_1.pth', 'bare.pth'):
        model = load_model(config(), str(tmp_path / name))
        assert all(torch.equal(weights[key].to(value), value) for key, value in model.state_dict().items())
        assert not model.training


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save(dict(state_dict={'encoder.weight': torch.zeros(2)}), tmp_path / 'other.pth')
    with pytest.raises(ConfigError, match=f'The weights of the checkpoint {tmp_path}/other.pth do not fit the model'):
        load_model(config(), str(tmp_path / 'other.pth'))
    neck = dict(type='mmselfsup.MoCoV2Neck', in_channels=CHANNELS, hid_channels=32, out_channels=12, with_avg_pool=True)
    torch.save(load_model(config(feat_dim=12, neck=neck)).state_dict(), tmp_path / 'narrow.pth')
    with pytest.raises(ConfigError, match=r'5 of another shape: neck.mlp.2.weight \(12, 32\) instead of \(16, 32\)'):
        load_model(config(), str(tmp_path / 'narrow.pth'))


def of_resnet(**preprocessor):
    backbone = dict(type='mmselfsup.ResNet', depth=18, stem_channels=4, base_channels=4, out_indices=[4],
                    norm_cfg=dict(type='BN'))
    neck = dict(type='mmselfsup.MoCoV2Neck', in_channels=32, hid_channels=32, out_channels=16, with_avg_pool=True)
    imagenet = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), bgr_to_rgb=True)
    return config(backbone=backbone, neck=neck, data_preprocessor=dict(imagenet, **preprocessor))


@pytest.mark.parametrize('name', published_files.PUBLISHED)
def test_the_backbone_of_what_others_have_published(tmp_path, name):
    path, network = published_files.write(tmp_path / 'a.pth', name, narrow=True)
    told = []
    model = load_model(of_resnet(), path, tell=told.append)
    own = model.backbone.state_dict()
    assert all(torch.equal(own[key].cpu(), value) for key, value in published_files.weights_of(network, False).items()
               if 'num_batches' not in key)
    owner = published_files.PUBLISHED[name][1]
    number = 100 if name == 'torchvision_old' else 120
    assert told[0].startswith(f'Features are taken by all {number} tensors of the backbone, which are those of {path}')
    assert told[0].endswith(f' (under the names of {owner}).' if owner else f'{path}.')


def test_embeddings_need_the_momentum_encoder_and_its_neck(tmp_path):
    moco = published_files.moco(published_files.random_resnet(narrow=True), dim=16, queue_len=24)
    torch.save(moco, tmp_path / 'moco.pth')
    told = []
    load_model(of_resnet(), str(tmp_path / 'moco.pth'), [('query', 'pooled'), ('momentum', 'embedding')], told.append)
    assert 'all 120 tensors of the encoder_k.module.0 and all 4 tensors of the encoder_k.module.1' in told[0]
    for name in ('moco_query_alone', 'swav'):
        path, _ = published_files.write(tmp_path / 'b.pth', name, narrow=True)
        with pytest.raises(ConfigError, match='does not have all weights of the encoder_k.module.0'):
            load_model(of_resnet(), path, [('momentum', 'embedding')])


@pytest.mark.parametrize('change', [dict(bgr_to_rgb=False), dict(mean=(1, 2, 3)), dict(std=(1, 1, 1))])
def test_images_that_are_normalised_otherwise(tmp_path, change):
    path, _ = published_files.write(tmp_path / 'a.pth', 'moco_v2', narrow=True)
    with pytest.raises(ConfigError, match='Images are normalised here by .*, but .*a.pth was trained with RGB, mean'):
        load_model(of_resnet(**change), path)
    own = dict(state_dict=load_model(of_resnet()).state_dict(), meta=dict(cfg=of_resnet().pretty_text))
    torch.save(own, tmp_path / 'own.pth')
    load_model(of_resnet(mean=(123.68, 116.28, 103.53)), str(tmp_path / 'own.pth'))  # rounded
    with pytest.raises(ConfigError, match='own.pth was trained with RGB, mean'):
        load_model(of_resnet(**change), str(tmp_path / 'own.pth'))


def test_weights_of_which_none_is_the_backbones(tmp_path):
    weights = {name: value for name, value in load_model(config()).state_dict().items() if 'backbone.' not in name}
    torch.save(dict(state_dict=weights), tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match='do not fit the model'):
        load_model(config(), str(tmp_path / 'a.pth'))
    torch.save(dict(state_dict=published_files.below('net.', weights), queue=weights['queue.keys']), tmp_path / 'b.pth')
    with pytest.raises(ConfigError, match='do not fit the model'):
        load_model(config(), str(tmp_path / 'b.pth'))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / 'cut.pth').write_bytes(b'PK\x03\x04')
    with pytest.raises(CheckpointError, match='cut.pth is cut off or damaged'):
        load_model(config(), str(tmp_path / 'cut.pth'))


@pytest.mark.parametrize('make, words', [
    (lambda weights: dict(state_dict=published_files.below('backbone.', weights)), '96 unknown to the model: backbone'),
    (lambda weights: dict(state_dict=published_files.below('module.encoder_q.', weights)),
     'MoCo. does not have all .* or more .80 unknown to the model'),
    (lambda weights: weights, 'torchvision.* or more .80 unknown to the model: backbone.layer1.2'),
])
def test_a_deeper_network_has_all_that_is_wanted_and_is_another(tmp_path, make, words):
    torch.save(make(ResNet(34, stem_channels=4, base_channels=4).state_dict()), tmp_path / 'deeper.pth')
    with pytest.raises(ConfigError, match=words):
        load_model(of_resnet(), str(tmp_path / 'deeper.pth'))


def test_a_head_in_the_place_of_the_classifier_is_no_part_of_the_backbone(tmp_path):
    weights = published_files.random_resnet(narrow=True).state_dict()
    torch.save(dict(state_dict=published_files.below('backbone.', weights)), tmp_path / 'lightning.ckpt')
    model = load_model(of_resnet(), str(tmp_path / 'lightning.ckpt'))
    assert torch.equal(model.backbone.conv1.weight.cpu(), weights['conv1.weight'])


def test_weights_that_are_no_numbers(tmp_path):
    weights = ResNet(18, stem_channels=4, base_channels=4).state_dict()
    weights['bn1.weight'][1] = float('nan')
    torch.save(weights, tmp_path / 'a.pth')
    with pytest.raises(ConfigError, match='1 tensors of its weights hold NaN or infinity: backbone.bn1.weight'):
        load_model(of_resnet(), str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('mean', ['[0.485 * 255, 0.456 * 255, 0.406 * 255]', '127.5', "'imagenet'"])
def test_a_normalisation_that_is_not_told_by_numbers(tmp_path, mean):
    path, network = published_files.write(tmp_path / 'a.pth', 'openmmlab', narrow=True)
    text = f'model = dict(data_preprocessor=dict(mean={mean}, std=[1, 1, 1]))'
    torch.save(dict(published_files.openmmlab(network), meta=dict(cfg=text)), path)
    told = []
    load_model(of_resnet(), path, tell=told.append)
    assert 'does not tell whether its training had them so' in told[1]
