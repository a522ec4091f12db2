"""Positives from the bank of keys against those of a real extraction, by the same model at the same refreshes.

    python tools/prepare_digits.py data/digits
    python tools/benchmarks/bank.py --seeds 0 1 2 --json bank.json       # the digits, 20 epochs a seed
    python tools/benchmarks/bank.py CONFIG --epochs 40 --work-dir work_dirs/bank

Trains the config with ``feature_source='bank'``. At each refresh by the bank, the features of all images are extracted,
too, and clustered with the same sizes and seed. The control is the same extraction, clustered with another seed.
Positives agree by the mean overlap (Jaccard) of an image's two rows. Seconds are those of getting the features.
"""

import argparse
import json
import os.path as osp
import sys
import time
from typing import Any, Optional

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from pairs import write_figures

from clim_mm.config_file import load_config
from clim_mm.datasets import SingleViews, labels_of
from clim_mm.distributed import unwrapped
from clim_mm.evaluation.features import refresh_settings
from clim_mm.hooks.runner_parts import needed_refresher
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.launch.config_checks import check_config
from clim_mm.neighbors.refresh import Refresh, refresh_seed
from clim_mm.neighbors.refresh_health import purity

CONFIG = 'configs/clim/clim_r18_1xb32-20e_digits.py'
WORK_DIR = 'work_dirs/bank'
COLUMNS = dict(
    seed='seed', epoch='epoch', never_seen='no key', purity_bank='bank', purity_extracted='extracted',
    points='points', points_control='control', agreement='agree', agreement_control='control',
    seconds_bank='bank (s)', seconds_extracted='extract (s)')


class Comparison(Hook):
    """After each refresh that had keys: extracts, finds positives from that, too, and compares.

    Attributes:
        rows: A dict of figures for each of these refreshes; purities and agreements from 0 to 1.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def after_neighbor_refresh(self, runner: Runner, features: Optional[np.ndarray], found: Optional[Refresh]) -> None:
        """Compare; there is only one process."""
        with open(osp.join(runner.work_dir, 'neighbors.jsonl')) as file:
            report = json.loads(file.readlines()[-1])
        if report['bank_never_seen'] == 1:
            return
        assert found is not None, 'this is the only process'
        refresher, pairs = needed_refresher(runner, 'Comparison'), runner.train_dataloader.dataset
        labels = labels_of(pairs.dataset)
        views = SingleViews(pairs.dataset, refresher.extraction.settings['pipeline'], pairs.quarantine)
        start = time.perf_counter()
        extracted = refresher.extraction.features_of(unwrapped(runner), views)
        seconds = time.perf_counter() - start
        assert extracted is not None
        by_extraction = refresher.find(runner, extracted).positives
        control = refresher.find(runner, extracted, seed=refresh_seed(runner.seed + 1, runner.epoch)).positives
        of_bank, of_extraction = purity(found.positives, labels), purity(by_extraction, labels)
        row = dict(
            seed=runner.seed,
            epoch=runner.epoch,
            never_seen=report['bank_never_seen'],
            bank_age=report['bank_age'],
            purity_bank=of_bank,
            purity_extracted=of_extraction,
            points=100 * (of_bank - of_extraction),
            points_control=100 * (purity(control, labels) - of_extraction),
            agreement=agreement(found.positives, by_extraction),
            agreement_control=agreement(control, by_extraction),
            seconds_bank=report['seconds_bank'] + report['seconds_extract'],
            seconds_extracted=seconds)
        self.rows.append(row)
        runner.logger.info(f'The bank against an extraction:\n{table([row])}')


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Mean overlap (Jaccard) of the rows of two (N, P) tables of ids, -1 = none; two empty rows are the same."""
    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        left, right = set(a[a >= 0].tolist()), set(b[b >= 0].tolist())
        return len(left & right) / len(left | right) if left | right else 1.0

    return float(np.mean([overlap(a, b) for a, b in zip(one, other, strict=True)]))


def config_of(path: str, work_dir: str, seed: int, epochs: Optional[int], average: Optional[int] = None) -> Config:
    """The config with the bank, as it is trained."""
    cfg = load_config(path, osp.join(work_dir, f'seed_{seed}'), cfg_options={'randomness.seed': seed})
    refresh_settings(cfg)['feature_source'] = 'bank'
    if average is not None:
        refresh_settings(cfg)['bank_average'] = average
    if epochs is not None:
        cfg.merge_from_dict({'train_cfg.max_epochs': epochs})
    check_config(cfg)
    return cfg


def mean_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of each figure, over the last refreshes of all seeds."""
    last = list({row['seed']: row for row in rows}.values())
    return {name: float(np.mean([row[name] for row in last])) for name in rows[0] if name not in ('seed', 'epoch')}


def table(rows: list[dict[str, Any]]) -> str:
    """The figures, a refresh a line."""
    lines = [' '.join(f'{word:>11}' for word in COLUMNS.values())]
    for row in rows:
        cells = (f'{row[name]:.3f}' if isinstance(row.get(name), float) else str(row.get(name, '')) for name in COLUMNS)
        lines.append(' '.join(f'{cell:>11}' for cell in cells))
    return '\n'.join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description='Compare positives from the bank of keys with extracted ones.')
    parser.add_argument('config', nargs='?', default=CONFIG, help=f'what is trained (default: {CONFIG})')
    parser.add_argument('--epochs', type=int, help='of a training (default: the config\'s)')
    parser.add_argument('--average', type=int, help='bank_average (default: the config\'s)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='a training each (default: 0)')
    parser.add_argument('--work-dir', default=WORK_DIR, help=f'for the trainings (default: {WORK_DIR})')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    with errors_in_a_sentence():
        comparisons = []
        for cfg in [config_of(args.config, args.work_dir, seed, args.epochs, args.average) for seed in args.seeds]:
            runner, comparison = Runner.from_cfg(cfg), Comparison()
            runner.register_hook(comparison)
            runner.train()
            comparisons.append(comparison)
        rows = [row for comparison in comparisons for row in comparison.rows]
        if not rows:
            sys.exit('Error: no refresh had keys to begin with: give more --epochs than the interval of the refreshes.')
        print(f'\n{table([*rows, dict(mean_of(rows), seed="last, mean")])}')
        if args.json:
            write_figures(args.json, dict(settings=vars(args), refreshes=rows, last=mean_of(rows)))


if __name__ == '__main__':
    main()
