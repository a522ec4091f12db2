"""The weights that features are taken with."""

import pytest
import torch
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
    with pytest.raises(ConfigError, match=r'5 of another shape: queue \(12, 24\) instead of \(16, 24\)'):
        load_model(config(), str(tmp_path / 'narrow.pth'))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / 'cut.pth').write_bytes(b'PK\x03\x04')
    with pytest.raises(CheckpointError, match='cut.pth is cut off or damaged'):
        load_model(config(), str(tmp_path / 'cut.pth'))
