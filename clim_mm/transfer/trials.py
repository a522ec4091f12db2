"""The same training with several seeds, and the mean of what it gives: the paper averages five trials."""

import json
import os.path as osp
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from clim_mm.causes import machine_error
from clim_mm.checkpoints import write_atomically
from clim_mm.errors import ConfigError, DataError
from clim_mm.study.table import Table

from .figures_hook import FIGURES_FILE


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        seed: Of the training.
        folder: Its work dir.
    """

    seed: int
    folder: str

    def figures(self) -> Optional[dict[str, float]]:
        """What the last validation has measured, once the training is finished; None before.

        Raises:
            DataError: If they cannot be read.
            ConfigError: If they are of a training with another seed.
        """
        path = osp.join(self.folder, FIGURES_FILE)
        if not osp.exists(path):
            return None
        try:
            with open(path) as file:
                content: dict[str, Any] = json.load(file)
            finished, seed, figures = content['finished'], content['seed'], content['figures']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise machine_error(error) or DataError(
                f'The figures in {path} cannot be read ({type(error).__name__}): take {self.folder} away to run that '
                'trial again.') from error
        if seed != self.seed:
            raise ConfigError(f'{path} is of a training with seed {seed} instead of {self.seed}: give another '
                              '--work-dir.')
        return figures if finished else None


def trials_of(work_dir: str, number: int, first_seed: int = 0) -> list[Trial]:
    """``number`` trials with seeds that follow each other, each in a folder of its own."""
    return [Trial(seed, osp.join(work_dir, f'seed_{seed}')) for seed in range(first_seed, first_seed + number)]


def check_premises(work_dir: str, premises: Mapping[str, Any]) -> None:
    """Note in ``trials.json`` what trials are of, or check that those of a folder are of the same.

    Args:
        work_dir: Of the trials.
        premises: What decides their outcome beside the seed, by names that a sentence can use.

    Raises:
        ConfigError: If they are of something else.
    """
    path = osp.join(work_dir, 'trials.json')
    before: Any = dict(premises)
    if osp.isfile(path):
        try:
            with open(path) as file:
                before = dict(json.load(file))
        except (OSError, ValueError, TypeError) as error:
            raise machine_error(error) or DataError(
                f'{path} cannot be read ({type(error).__name__}): take {work_dir} away to run the trials again, or '
                'delete that file if they are of the same.') from error
    if others := [name for name in premises if before.get(name) != premises[name]]:
        raise ConfigError(f'The trials in {work_dir} have another {" and another ".join(others)} (see {path}): give '
                          'what they were begun with, or another --work-dir.')
    write_atomically(path, (json.dumps(premises, indent=2) + '\n').encode())


def table_of_trials(name: str, trials: Sequence[Trial]) -> Table:
    """The means over the trials that are finished, with their intervals.

    Args:
        name: Of the config.
        trials: Of which at least one is finished.

    Raises:
        DataError, ConfigError: As ``Trial.figures``.
    """
    finished = {trial.seed: figures for trial in trials if (figures := trial.figures()) is not None}
    metrics = tuple(dict.fromkeys(metric for figures in finished.values() for metric in figures))
    return Table(name, metrics, {name: {
        metric: {seed: figures[metric] for seed, figures in finished.items() if metric in figures}
        for metric in metrics}})
