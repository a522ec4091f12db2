"""What the hooks of a detector's training write."""

import json
from types import SimpleNamespace

from clim_mm.transfer.detector_hooks import FiguresHook


def test_figures_are_written_after_each_validation(tmp_path):
    hook = FiguresHook(seed=3)
    runner = SimpleNamespace(iter=5, max_iters=10, work_dir=str(tmp_path))
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.25})
    assert json.loads((tmp_path / 'figures.json').read_text()) == dict(
        iter=5, finished=False, seed=3, figures={'coco/bbox_mAP': 0.25})
    runner.iter = 10
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.5})
    assert json.loads((tmp_path / 'figures.json').read_text()) == dict(
        iter=10, finished=True, seed=3, figures={'coco/bbox_mAP': 0.5})
