"""MMEngine's ``compile`` with CLIM: the same losses."""

import numpy as np
import pytest
from mmengine.config import Config
from tiny_clim import TwoConvolutions
from training_runs import N, hook_cfg, model_cfg, runner_of, write_images

pytestmark = pytest.mark.e2e


def losses(folder, work_dir, **settings):
    """Of each step of an epoch."""
    model = model_cfg(backbone=dict(type=TwoConvolutions), neck=dict(model_cfg()['neck'], in_channels=8))
    runner = runner_of(folder, work_dir, hook=hook_cfg(begin=1), num_workers=0, model=model,
                       cfg=Config(dict(compile=settings) if settings else {}))
    runner.train()
    values, _ = runner.message_hub.get_scalar('train/loss').data
    return values


def test_a_compiled_step_is_the_same(tmp_path):
    write_images(tmp_path / 'images', N)
    expected = losses(tmp_path / 'images', tmp_path / 'plain')
    found = losses(tmp_path / 'images', tmp_path / 'compiled', backend='aot_eager', dynamic=False)
    assert len(expected) > 1 and len(set(expected.tolist())) == len(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
