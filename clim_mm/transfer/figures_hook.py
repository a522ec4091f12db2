"""The figures of the last validation, where other programs find them."""

import json
import os.path as osp
from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from clim_mm.checkpoints import write_atomically
from clim_mm.checks import check_whole

FIGURES_FILE = 'figures.json'


@HOOKS.register_module()
class FiguresHook(Hook):
    """Writes what a validation has measured into ``figures.json`` of the work dir.

    ``iter`` is the number of iterations behind it, ``finished`` whether these are all, ``seed`` the training's, and
    ``figures`` a dictionary.

    Args:
        seed: Of the training; None if it has none.
    """

    priority = 'LOW'

    def __init__(self, seed: Optional[int] = None) -> None:
        check_whole('seed of FiguresHook', seed, optional=True)
        self.seed = seed
        self._measured_at = -1

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict[str, float]] = None) -> None:
        """Write them."""
        self._measured_at = runner.iter
        if not is_main_process():
            return
        content = dict(iter=runner.iter, finished=runner.iter >= runner.max_iters, seed=self.seed,
                       figures={name: float(value) for name, value in (metrics or {}).items()})
        write_atomically(osp.join(runner.work_dir, FIGURES_FILE), (json.dumps(content, indent=2) + '\n').encode())

    def after_train(self, runner: Runner) -> None:
        """Validate, where a training that was broken off in its last validation was taken up behind it."""
        if self._measured_at != runner.iter and runner.val_loop is not None:
            runner.val_loop.run()
