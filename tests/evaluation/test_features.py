"""A model from a config and a checkpoint, and its frozen features."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.evaluation import frozen_features, load_model

pytestmark = pytest.mark.usefixtures('one_torch_thread')

PIPELINE = [
    dict(type='clim_mm.LoadImage'),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]


def config(seed=0):
    return Config(
        dict(
            default_scope='clim_mm',
            randomness=dict(seed=seed),
            model=dict(
                type='CLIM',
                queue_len=8,
                feat_dim=16,
                data_preprocessor=dict(mean=(100, 110, 120), std=(50, 60, 70), bgr_to_rgb=True),
                backbone=dict(
                    type='mmselfsup.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=[4],
                    norm_cfg=dict(type='BN')),
                neck=dict(
                    type='mmselfsup.MoCoV2Neck', in_channels=64, hid_channels=32, out_channels=16, with_avg_pool=True),
                head=dict(type='MixedContrastiveHead'))))


def differ(first, second):
    second = second.state_dict()
    return [name for name, value in first.state_dict().items() if not torch.equal(value, second[name])]


def test_the_seed_of_the_config_decides_the_fresh_model():
    first = load_model(config())
    torch.rand(3)
    assert differ(first, load_model(config())) == []
    assert 'backbone.conv1.weight' in differ(first, load_model(config(seed=1)))
    without = config()
    without.pop('randomness')
    assert differ(first, load_model(without)) == []


def test_the_model_is_ready_to_measure():
    logger = MMLogger.get_current_instance()
    before = logger.level
    model = load_model(config())
    assert not model.training and not any(module.training for module in model.modules())
    assert next(model.parameters()).device.type == torch.device(get_device()).type
    assert differ(model.encoder('momentum'), model.encoder('query')) == []
    assert logger.level == before


def test_the_checkpoint_decides_if_there_is_one(tmp_path):
    trained = load_model(config(seed=1))
    path = str(tmp_path / 'epoch_1.pth')
    torch.save(dict(state_dict=trained.state_dict(), meta={}), path)
    assert differ(trained, load_model(config(), path)) == []


def test_frozen_features(class_folder):
    model = load_model(config())
    with torch.no_grad():
        for parameter in model.encoder('momentum').parameters():
            parameter.fill_(0.123)
    views = SingleViews(ImageFolder(str(class_folder)), PIPELINE)
    features = frozen_features(model, views, dict(batch_size=5, num_workers=1))

    images = torch.stack([views[i]['inputs'][0].flip(0) for i in range(12)]).float()
    images = (images - torch.tensor([100, 110, 120])[:, None, None]) / torch.tensor([50, 60, 70])[:, None, None]
    with torch.no_grad():
        expected = model.backbone(images.to(get_device()))[-1].mean(dim=(2, 3)).cpu().numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert features.shape == (12, 64) and features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert len(np.unique(features.round(4), axis=0)) == 12
