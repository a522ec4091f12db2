"""The runs of a study, the stages of each, and which of them are done."""

import hashlib
import json
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from clim_mm.causes import machine_error
from clim_mm.checkpoints import write_atomically
from clim_mm.config_file import load_config
from clim_mm.errors import ConfigError, DataError

from .study_file import Row, Study

PRETRAINING, FROZEN = 'pretraining', 'frozen'


@dataclass(frozen=True)
class Stage:
    """A part of a run.

    Attributes:
        name: ``pretraining``, ``frozen``, or that of an evaluation that trains.
        trains: Whether it is a training, with a config of its own, or a measurement of frozen features.
        text: The config, whole, as a Python file has it; a measurement's is that of the pretraining.
    """

    name: str
    trains: bool
    text: str

    @property
    def fingerprint(self) -> str:
        """Of what decides the outcome."""
        return hashlib.sha256(f'{self.name}\n{self.text}'.encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """One row with one seed.

    Attributes:
        row: Name.
        seed: Of the training, and of the evaluations that train.
        folder: With ``results.json``, the configs, and a folder for each stage.
        stages: In their order, the pretraining first.
    """

    row: str
    seed: int
    folder: str
    stages: tuple[Stage, ...]

    def config_file(self, stage: Stage) -> str:
        """Where the stage's config is written to."""
        return osp.join(self.folder, f'{stage.name if stage.trains else PRETRAINING}.py')

    def results(self) -> dict[str, dict[str, Any]]:
        """Of the stages that are done, by their names: ``fingerprint``, ``figures`` and ``seconds``.

        Raises:
            DataError: If they cannot be read.
            ConfigError: If the config of one has changed since.
        """
        path = osp.join(self.folder, 'results.json')
        if not osp.exists(path):
            return {}
        try:
            with open(path) as file:
                stages = json.load(file)['stages']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise machine_error(error) or DataError(
                f'The results in {path} cannot be read ({type(error).__name__}): take {self.folder} away to run it '
                'again.') from error
        for stage in self.stages:
            if stage.name in stages and stages[stage.name]['fingerprint'] != stage.fingerprint:
                raise self._changed(stage)
        return stages

    def check_begun(self, stage: Stage) -> None:
        """Check that a stage that was broken off had the same config.

        Raises:
            ConfigError: If it had another.
        """
        path = self.config_file(stage)
        if stage.trains and osp.exists(path):
            with open(path) as file:
                if file.read() != stage.text:
                    raise self._changed(stage)

    def _changed(self, stage: Stage) -> ConfigError:
        return ConfigError(f'The config of {self.row}, seed {self.seed}, {stage.name}, is another than when '
                           f'{self.folder} was made: undo the change, take the folder away, or give another '
                           '--work-dir.')

    def add_result(self, stage: Stage, figures: dict[str, float], seconds: float) -> None:
        """Keep what a stage gave."""
        stages = self.results()
        stages[stage.name] = dict(fingerprint=stage.fingerprint, figures=figures, seconds=round(seconds, 1))
        content = dict(row=self.row, seed=self.seed, stages=stages)
        write_atomically(osp.join(self.folder, 'results.json'), (json.dumps(content, indent=2) + '\n').encode())


def runs_of(study: Study, work_dir: str) -> list[Run]:
    """All runs: every row with the first seed, then with the second, and so on.

    Args:
        study: What is compared.
        work_dir: Each run has the folder ``ROW/seed_SEED`` in it.

    Raises:
        ConfigError: If a config cannot be read, or an option does not fit it.
    """
    pretrainings = [(row.name, config_of(row, study.options)) for row in study.rows]
    trainings = [(row.name, config_of(row, {})) for row in study.training]
    runs = []
    for seed in study.seeds:
        evaluations = [Stage(name, True, _text(cfg, seed)) for name, cfg in trainings]  # the same for all rows
        for name, cfg in pretrainings:
            text = _text(cfg, seed)
            stages = (Stage(PRETRAINING, True, text), *([Stage(FROZEN, False, text)] if study.frozen else []),
                      *evaluations)
            runs.append(Run(name, seed, osp.join(work_dir, name, f'seed_{seed}'), stages))
    return runs


def config_of(row: Row, options: dict[str, Any]) -> Config:
    """The config of a row, with a study's options and its own; without a work dir, which decides nothing.

    Raises:
        ConfigError: If it cannot be read, or an option does not fit it.
    """
    cfg = load_config(row.config, cfg_options=dict(options, **row.options))
    cfg.pop('work_dir')
    return cfg


def _text(cfg: Config, seed: int) -> str:
    cfg.merge_from_dict({'randomness.seed': seed})
    return cfg.pretty_text


def unfinished(runs: Sequence[Run]) -> list[tuple[Run, Stage]]:
    """The stages that are still to do, in their order.

    Raises:
        ConfigError, DataError: As ``Run.results``, before anything is run.
    """
    todo = [(run, stage) for run in runs for done in [run.results()] for stage in run.stages if stage.name not in done]
    for run, stage in todo:
        run.check_begun(stage)
    return todo


def write_config(run: Run, stage: Stage) -> str:
    """Write the stage's config into the run's folder, and give its path."""
    path = run.config_file(stage)
    write_atomically(path, stage.text.encode())
    return path
