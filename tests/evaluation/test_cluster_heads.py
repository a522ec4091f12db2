"""The assignments of cluster heads, and the weights that they are made with."""

import clustered_clim  # noqa: F401  (registers the model)
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from training_runs import CHANNELS, EXTRACT_PIPELINE, model_cfg, write_images

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.errors import ConfigError
from clim_mm.evaluation import load_model
from clim_mm.evaluation.features import head_names, soft_assignments
from clim_mm.protocols import AssignsClusters


def config(type='ClusteredCLIM', heads=(2, 3), **model):
    own = dict(channels=CHANNELS, num_clusters=heads) if type == 'ClusteredCLIM' else {}
    return Config(dict(default_scope='clim_mm', model=model_cfg(type=type, **own, **model), randomness=dict(seed=0)))


@pytest.fixture
def views(tmp_path):
    init_default_scope('clim_mm')
    write_images(tmp_path / 'images', 7)
    return SingleViews(ImageFolder(str(tmp_path / 'images')), EXTRACT_PIPELINE)


def test_each_head_has_its_columns(views):
    model = load_model(config())
    for bias, head in zip(([0, 4], [9, 0, 5]), model.cluster_heads, strict=True):
        torch.nn.init.zeros_(head.weight)
        head.bias.data = torch.tensor(bias, dtype=torch.float)
    found = soft_assignments(model, views, dict(batch_size=3, num_workers=0))
    assert {name: soft.shape for name, soft in found.items()} == dict(head_2=(7, 2), head_3=(7, 3))
    np.testing.assert_allclose(found['head_2'], [[1 / (1 + np.e**4), 1 / (1 + np.e**-4)]] * 7, rtol=1e-5)
    np.testing.assert_allclose(found['head_3'].sum(axis=1), 1, rtol=1e-6)
    assert (found['head_3'].argmax(axis=1) == 0).all()


def test_heads_of_as_many_clusters_are_told_apart():
    assert head_names(load_model(config(heads=(5, 10, 5, 5)))) == ['head_5', 'head_10', 'head_5_2', 'head_5_3']


def test_a_model_without_heads_has_none(views):
    model = load_model(config(type='CLIM'))
    assert not isinstance(model, AssignsClusters) and head_names(model) == []
    assert soft_assignments(model, views, dict(num_workers=0)) == {}


def test_heads_without_weights_are_not_measured(tmp_path):
    torch.save(load_model(config(type='CLIM')).state_dict(), tmp_path / 'clim.pth')
    load_model(config(), str(tmp_path / 'clim.pth'))  # features alone
    with pytest.raises(ConfigError, match='not have all weights that cluster heads need .cluster_heads.0.weight'):
        load_model(config(), str(tmp_path / 'clim.pth'), assigns=True)
    load_model(config(type='CLIM'), str(tmp_path / 'clim.pth'), assigns=True)
    torch.save(load_model(config()).state_dict(), tmp_path / 'own.pth')
    load_model(config(), str(tmp_path / 'own.pth'), assigns=True)
