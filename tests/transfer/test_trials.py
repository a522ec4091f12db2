"""Figures of validations, and the mean over those trials that are finished."""

import json
from types import SimpleNamespace

import pytest

from clim_mm.errors import ConfigError
from clim_mm.transfer.trials import FiguresHook, check_premises, finished_figures, table_of_trials


def test_figures_are_written_after_each_validation(tmp_path):
    assert finished_figures(str(tmp_path)) is None
    hook = FiguresHook(seed=3)
    runner = SimpleNamespace(iter=5, max_iters=10, work_dir=str(tmp_path))
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.25})
    assert json.loads((tmp_path / 'figures.json').read_text()) == dict(
        iter=5, finished=False, seed=3, figures={'coco/bbox_mAP': 0.25})
    assert finished_figures(str(tmp_path)) is None
    runner.iter = 10
    hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.5})
    assert json.loads((tmp_path / 'figures.json').read_text()) == dict(
        iter=10, finished=True, seed=3, figures={'coco/bbox_mAP': 0.5})
    assert finished_figures(str(tmp_path)) == {'coco/bbox_mAP': 0.5}


def test_the_means():
    table = table_of_trials('detector', {seed: dict(AP=ap, AP50=0.8) for seed, ap in ((0, 0.5), (2, 0.7), (1, 0.6))})
    cell = table.mean('detector', 'AP')
    # Student's t of two degrees of freedom is 4.3027; the standard deviation 0.1.
    assert (cell.mean, cell.number) == (pytest.approx(0.6), 3)
    assert cell.half_width == pytest.approx(4.3027 * 0.1 / 3**0.5, abs=1e-4)
    lines = table.markdown().splitlines()
    assert lines[0] == '| row | seeds | AP | AP50 |'
    assert lines[2] == '| **detector** | 3 | 0.600 ± 0.248 | 0.800 ± 0.000 |'


def test_a_folder_of_other_trials_is_refused(tmp_path):
    premises = dict(config='lr = 1', checkpoint='0f', arguments=['--amp'])
    for _ in range(2):
        check_premises(str(tmp_path), premises)
    with pytest.raises(ConfigError, match='have another config and another checkpoint .*: give what they were begun w'):
        check_premises(str(tmp_path), dict(premises, config='lr = 2', checkpoint='1e'))
    check_premises(str(tmp_path), premises)
