"""What the safeguards cost: the time of an epoch with them, and without, side by side in one run.

    python tools/benchmark_safeguards.py configs/clim/clim_r18_1xb32-20e_digits.py --pairs 5 --epochs 3

Trainings with and without take turns. Without: no watchdog, no quarantine, manifest, preflight or guard of checkpoints,
and no mask of own keys. What is spent once at the start (preflight, manifest) is given apart.
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Optional

from mmengine.config import Config, DictAction
from mmengine.hooks import Hook
from mmengine.runner import Runner

import clim_mm  # noqa: F401  (opens the host's version gate)
from clim_mm.datasets import NeighborPairs
from clim_mm.errors import UserError, sentence
from clim_mm.registry import DATASETS

SAFEGUARDS = ('checkpoint_guard', 'watchdog', 'preflight', 'quarantine', 'manifest')


@DATASETS.register_module()
class UnguardedPairs(NeighborPairs):
    """Reads what it is asked for, or fails."""

    def __getitem__(self, sample_idx: int) -> Any:
        with self.randomness.of(sample_idx) as rng:
            inputs, _ = self.inputs_of(sample_idx, rng)
            return self.pipeline(dict(inputs, rng=rng))

    def __getitems__(self, sample_ids: Sequence[int]) -> list:
        return [self[sample_idx] for sample_idx in sample_ids]


class Clock(Hook):
    """Notes when the training and its epochs begin and end."""

    def __init__(self, starts: bool, times: dict[str, list[float]]) -> None:
        self.priority = 'VERY_HIGH' if starts else 'LOWEST'
        self._name = 'begin' if starts else 'end'
        self._times = times

    def before_train(self, runner: Runner) -> None:
        """Before and after what the hooks do at the start."""
        self._times.setdefault(f'start_{self._name}', []).append(time.perf_counter())

    def before_train_epoch(self, runner: Runner) -> None:
        """Before a refresh."""
        if self._name == 'begin':
            self._times.setdefault('begin', []).append(time.perf_counter())

    def after_train_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """After all other hooks."""
        if self._name == 'end':
            self._times.setdefault('end', []).append(time.perf_counter())


def unguarded(cfg: Config) -> Config:
    """The config of the same training without safeguards."""
    cfg = copy.deepcopy(cfg)
    cfg.default_hooks = {name: hook for name, hook in cfg.default_hooks.items() if name not in SAFEGUARDS}
    cfg.model.mask_own_keys = False
    cfg.train_dataloader.dataset.type = 'UnguardedPairs'
    return cfg


def epoch_seconds(cfg: Config, name: str) -> tuple[list[float], float]:
    """Train, and give the seconds of every epoch and of the hooks at the start."""
    cfg, times = copy.deepcopy(cfg), {}
    cfg.experiment_name = name
    cfg.default_hooks.pop('checkpoint', None)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(Clock(True, times))
    runner.register_hook(Clock(False, times))
    runner.train()
    epochs = [end - begin for begin, end in zip(times['begin'], times['end'], strict=True)]
    return epochs, times['start_end'][0] - times['start_begin'][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--pairs', type=int, default=5, help='trainings of each kind')
    parser.add_argument('--epochs', type=int, default=3, help='of each training; the first of each is left out')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(dict(args.cfg_options or {}, **{'train_cfg.max_epochs': args.epochs, 'log_level': 'WARNING'}))
    seconds: dict[str, list[float]] = {'with': [], 'without': []}
    starts: dict[str, list[float]] = {'with': [], 'without': []}
    try:
        for pair in range(args.pairs):
            kinds = [('with', cfg), ('without', unguarded(cfg))]
            for kind, variant in kinds if pair % 2 == 0 else reversed(kinds):
                with tempfile.TemporaryDirectory() as folder:
                    variant.work_dir = folder
                    epochs, start = epoch_seconds(variant, f'{kind}_{pair}')
                seconds[kind].append(statistics.fmean(epochs[1:] or epochs))
                starts[kind].append(start)
                print(f'pair {pair + 1} {kind}: {seconds[kind][-1]:.3f} s an epoch, {start:.1f} s at the start',
                      flush=True)
    except UserError as error:
        sys.exit(f'Error: {sentence(error)}')
    ratios = [a / b for a, b in zip(seconds['with'], seconds['without'], strict=True)]
    print(json.dumps(dict(
        epoch_seconds_with=round(statistics.median(seconds['with']), 3),
        epoch_seconds_without=round(statistics.median(seconds['without']), 3),
        ratio=round(statistics.median(ratios), 4),
        ratio_range=[round(min(ratios), 4), round(max(ratios), 4)],
        start_seconds_with=round(statistics.median(starts['with']), 2),
        start_seconds_without=round(statistics.median(starts['without']), 2)), indent=4))


if __name__ == '__main__':
    main()
