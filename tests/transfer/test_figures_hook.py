"""The figures of the last validation are in a file."""

import json
from types import SimpleNamespace

import pytest

from clim_mm.errors import ConfigError
from clim_mm.transfer.figures_hook import FiguresHook


def test_they_are_written_after_each_validation(tmp_path):
    hook = FiguresHook(seed=3)
    runner = SimpleNamespace(iter=5, max_iters=10, work_dir=str(tmp_path))
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.25})
    assert json.loads((tmp_path / 'figures.json').read_text()) == dict(
        iter=5, finished=False, seed=3, figures={'coco/bbox_mAP': 0.25})
    runner.iter = 10
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.5})
    assert json.loads((tmp_path / 'figures.json').read_text()) == dict(
        iter=10, finished=True, seed=3, figures={'coco/bbox_mAP': 0.5})


def test_a_seed_is_a_whole_number():
    with pytest.raises(ConfigError, match='seed of FiguresHook'):
        FiguresHook(seed='3')
