"""The same training with several seeds, and the mean of what it gives: the paper averages five trials."""

import json
import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from clim_mm.errors import ConfigError, DataError, on_one_line
from clim_mm.study.table import Table

from .detector_hooks import FIGURES_FILE, write_json


@dataclass(frozen=True)
class Trial:
    """One training: its seed and its work dir."""

    seed: int
    folder: str

    def figures(self) -> Optional[dict[str, float]]:
        """What the last validation has measured, once the training is finished; None before."""
        path = osp.join(self.folder, FIGURES_FILE)
        if not osp.exists(path):
            return None
        content = _read(path)
        if content.get('seed') != self.seed:
            raise ConfigError(f'{path} is of a training with seed {content.get("seed")} instead of {self.seed}: give '
                              'another --work-dir.')
        return content['figures'] if content['finished'] else None


def trials_of(work_dir: str, number: int, first_seed: int = 0) -> list[Trial]:
    """``number`` trials with seeds that follow each other, each in a folder of its own."""
    return [Trial(seed, osp.join(work_dir, f'seed_{seed}')) for seed in range(first_seed, first_seed + number)]


def check_premises(work_dir: str, premises: Mapping[str, Any]) -> None:
    """Note in ``trials.json`` what decides the outcome beside the seed, or check that it is as noted."""
    path = osp.join(work_dir, 'trials.json')
    before = _read(path) if osp.isfile(path) else premises
    if others := [name for name in premises if before.get(name) != premises[name]]:
        raise ConfigError(f'The trials in {work_dir} have another {" and another ".join(others)} (see {path}): give '
                          'what they were begun with, or another --work-dir.')
    write_json(path, premises)


def table_of_trials(name: str, trials: Sequence[Trial]) -> Table:
    """The table with the means over the finished trials, of which there is at least one."""
    finished = {trial.seed: figures for trial in trials if (figures := trial.figures()) is not None}
    metrics = tuple(dict.fromkeys(metric for figures in finished.values() for metric in figures))
    return Table(name, metrics, {name: {
        metric: {seed: figures[metric] for seed, figures in finished.items() if metric in figures}
        for metric in metrics}})


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path) as file:
            return dict(json.load(file))
    except (ValueError, TypeError) as error:
        raise DataError(f'{path} cannot be read ({on_one_line(error)}): take {osp.dirname(path)} away to run that '
                        'again.') from error
