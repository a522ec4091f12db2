"""Checkpoints of methods other than CLIM: their backbones are exported, and measured, too."""

import numpy as np
import pytest
import torch
from config_names import ROOT, load
from mmengine.registry import init_default_scope
from written_checkpoints import META, features_of, images

from clim_mm.checkpoints.backbone import read_backbone
from clim_mm.evaluation import load_model
from clim_mm.export import export
from clim_mm.registry import MODELS

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures('one_torch_thread')]


@pytest.fixture(params=['hsa/hsa_r50_8xb32-200e_in1k', 'c2bin/c2bin_r18_1xb256-200e_stl10'])
def saved(request, tmp_path):
    """A config of a ResNet-18, a model of it, and its checkpoint."""
    cfg = load(ROOT / f'configs/{request.param}.py')
    if cfg.model.backbone.depth == 50:
        cfg.model.update(queue_len=8)
        cfg.model.backbone.update(depth=18)
        for neck, channels in zip(cfg.model.neck.values(), (256, 512), strict=True):
            neck.update(in_channels=channels, hid_channels=16)
    init_default_scope('clim_mm')
    torch.manual_seed(3)
    model = MODELS.build(cfg.model)
    model.init_weights()
    path = str(tmp_path / 'epoch_200.pth')
    torch.save(dict(meta=dict(META, cfg=cfg.pretty_text), state_dict=model.state_dict(), optimizer={}), path)
    return cfg, model.eval(), path


def test_the_backbone_is_exported(saved, tmp_path):
    _, model, path = saved
    exported = export(path, 'torchvision', str(tmp_path / 'out.pth'))
    assert exported.difference <= 1e-5
    loaded = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert loaded.keys() == model.backbone.state_dict().keys()
    assert torch.equal(loaded['layer4.1.conv2.weight'], model.backbone.layer4[1].conv2.weight)


def test_its_features_are_measured_and_its_backbone_is_found(saved):
    cfg, model, path = saved
    told = []
    loaded = load_model(cfg, path, [('query', 'pooled'), ('momentum', 'embedding')], told.append, assigns=True)
    np.testing.assert_array_equal(features_of(loaded.backbone, images())[1], features_of(model.backbone, images())[1])
    assert 'tensors of the backbone' in told[0] and 'of the encoder_k.module' in told[0]
    assert read_backbone(path).backbone.keys() == model.backbone.state_dict().keys()
