"""The figures of a detector's validations, and their means over seeds: the paper averages five trials."""

import json
import os.path as osp
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from mmengine import dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from clim_mm.checkpoints import write_json
from clim_mm.errors import ConfigError
from clim_mm.study.table import Table

FIGURES_FILE = 'figures.json'  # of a detector's last validation


# In MMEngine's own registry: scope mmdet sees it, and needs no other scope for it.
@HOOKS.register_module()
class FiguresHook(Hook):
    """Hook that writes what a validation has measured into ``figures.json`` of the work dir."""

    priority = 'LOW'

    def __init__(self, seed: Optional[int] = None) -> None:
        self.seed = seed
        self._measured_at = -1

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict[str, float]] = None) -> None:
        """Write them."""
        self._measured_at = runner.iter
        if dist.is_main_process():
            write_json(osp.join(runner.work_dir, FIGURES_FILE), dict(
                iter=runner.iter, finished=runner.iter >= runner.max_iters, seed=self.seed,
                figures={name: float(value) for name, value in (metrics or {}).items()}))

    def after_train(self, runner: Runner) -> None:
        """Validate, if the training was interrupted in its last validation and has been resumed after it."""
        if self._measured_at != runner.iter and runner.val_loop is not None:
            runner.val_loop.run()


def finished_figures(work_dir: str) -> Optional[dict[str, float]]:
    """What the last validation has measured, once the training is finished; None before."""
    path = osp.join(work_dir, FIGURES_FILE)
    content = json.loads(Path(path).read_bytes()) if osp.exists(path) else {}
    return content['figures'] if content.get('finished') else None


def check_premises(work_dir: str, premises: Mapping[str, Any]) -> None:
    """Note in ``trials.json`` what decides the outcome beside the seed, or check that it is as noted."""
    path = osp.join(work_dir, 'trials.json')
    before = json.loads(Path(path).read_bytes()) if osp.isfile(path) else premises
    if others := [name for name in premises if before.get(name) != premises[name]]:
        raise ConfigError(f'The trials in {work_dir} have another {" and another ".join(others)} (see {path}): give '
                          'what they were begun with, or another --work-dir.')
    write_json(path, premises)


def table_of_trials(name: str, figures: Mapping[int, Mapping[str, float]]) -> Table:
    """The table with the means over the seeds, by which the figures of the finished trials are given."""
    metrics = tuple(dict.fromkeys(metric for trial in figures.values() for metric in trial))
    return Table(name, metrics, {name: {
        metric: {seed: trial[metric] for seed, trial in figures.items() if metric in trial} for metric in metrics}})
