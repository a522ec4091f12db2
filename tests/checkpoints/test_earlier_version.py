"""A checkpoint of an earlier version of the code, written by ``tests/written_run.py``, goes on as it did there."""

import json
import shutil

import numpy as np
import pytest
from forked import ROOT
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from training_runs import model_cfg
from written_run import features, images, train

from clim_mm.registry import MODELS

pytestmark = pytest.mark.usefixtures('one_torch_thread')

CHECKPOINT = ROOT / 'tests/recordings/clim_1e677a5.pth'
EXPECTED = json.loads(CHECKPOINT.with_suffix('.json').read_text())


def test_every_weight_and_buffer_has_its_place():
    init_default_scope('clim_mm')
    model = MODELS.build(model_cfg())
    kept = load_checkpoint(model, str(CHECKPOINT), 'cpu', strict=True)
    assert len(kept['state_dict']) == len(model.state_dict())


@pytest.mark.parametrize(('encoder', 'layer'), [('query', 'pooled'), ('momentum', 'embedding')])
def test_the_features_are_the_same(tmp_path, encoder, layer):
    found = features(images(tmp_path), CHECKPOINT, encoder, layer)
    np.testing.assert_allclose(found, EXPECTED['features'][f'{encoder} {layer}'], rtol=1e-5, atol=1e-6)


def test_the_next_epoch_is_the_same(tmp_path):
    # Of what the checkpoint keeps, the losses depend on weights, optimizer, schedule, and the queue with its ids.
    checkpoint = shutil.copy(CHECKPOINT, tmp_path)
    runner, losses = train(images(tmp_path / 'images'), tmp_path / 'run', 3, str(checkpoint))
    assert (runner.epoch, runner.iter) == (3, 9)
    assert losses == pytest.approx(EXPECTED['losses'], rel=1e-5)
    assert len(runner.train_dataloader.dataset.quarantine) == 1
