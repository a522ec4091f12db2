"""The runs of a study: their stages, what of them is done, and how a stage is done: by the commands of tools/."""

import json
import os
import os.path as osp
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from clim_mm.causes import machine_error
from clim_mm.checkpoints import HeldFolder, latest_checkpoint, write_atomically, write_json
from clim_mm.config_file import load_config
from clim_mm.distributed.end_process import starter_environment
from clim_mm.errors import ConfigError, DataError, TrainingError

from .study_file import Row, Study

_PRETRAINING, _FROZEN = 'pretraining', 'frozen'


class Stage(NamedTuple):
    """A part of a run: the pretraining, the measurement of its frozen features, or an evaluation that trains."""

    name: str
    config: Optional[str]  # of a training, whole, as a Python file has it; a measurement takes the pretraining's


class Run(NamedTuple):
    """One row with one seed: its stages in their order, and a folder of configs, logs, results and work dirs."""

    row: str
    seed: int
    folder: str
    stages: tuple[Stage, ...]

    def results(self) -> dict[str, dict[str, Any]]:
        """Figures and seconds of the stages that are done, by their names; an error if a config has changed since."""
        for stage in self.stages:
            config = Path(self.file(stage, 'py'))
            if stage.config and config.exists() and config.read_text() != stage.config:
                raise ConfigError(f'The config of {self.row}, seed {self.seed}, {stage.name}, is another than when '
                                  f'{self.folder} was made: undo the change, take the folder away, or give another '
                                  '--work-dir.')
        path = Path(self.folder, 'results.json')
        try:
            return dict(json.loads(path.read_text())['stages']) if path.exists() else {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise machine_error(error) or DataError(
                f'The results in {path} cannot be read ({type(error).__name__}): take {self.folder} away to run it '
                'again.') from error

    def add_result(self, stage: Stage, figures: dict[str, float], seconds: float) -> None:
        """Keep what a stage gave."""
        stages = dict(self.results(), **{stage.name: dict(figures=figures, seconds=round(seconds, 1))})
        write_json(osp.join(self.folder, 'results.json'), dict(row=self.row, seed=self.seed, stages=stages))

    def file(self, stage: Stage, kind: str) -> str:
        """Where a stage has its config (``py``), its log (``log``) and its figures (``json``)."""
        return osp.join(self.folder, f'{stage.name}.{kind}')

    def execute(self, stage: Stage, tools: str) -> None:
        """Do a stage by the commands in the folder ``tools``, as a user would by hand, and keep its figures.

        A pretraining that was broken off goes on from its last checkpoint; anything else begins again.
        """
        start, work_dir = time.perf_counter(), osp.join(self.folder, stage.name)
        config = self.file(stage if stage.config else self.stages[0], 'py')
        if stage.config:
            write_atomically(config, stage.config.encode())
        train = [osp.join(tools, 'train.py'), config, '--work-dir', work_dir]
        pretrained = osp.join(self.folder, _PRETRAINING)
        found = latest_checkpoint(pretrained)
        checkpoint = found or osp.join(pretrained, 'epoch_*.pth')
        if stage.name == _PRETRAINING:
            self._call(stage, [*train, '--resume'])
            figures = _last_purity(work_dir)
            if found is None:  # only then is all of it this call's
                figures['seconds'] = round(time.perf_counter() - start, 1)
        elif stage.config:
            HeldFolder(work_dir).release()  # one that outlives a study that was killed is not to lose its folder
            shutil.rmtree(work_dir, ignore_errors=True)
            self._call(stage, [*train, '--pretrained', checkpoint])
            figures = {f'{stage.name}_top1': _last_accuracy(work_dir)}
            shutil.rmtree(work_dir)  # weights that nobody asks for
        else:
            out = self.file(stage, 'json')
            self._call(stage, [osp.join(tools, 'evaluate.py'), 'figures', config, checkpoint, '--json', out])
            figures = {name: value for name, value in json.loads(Path(out).read_text()).items() if name != 'premises'}
        self.add_result(stage, figures, time.perf_counter() - start)

    def _call(self, stage: Stage, command: Sequence[str]) -> None:
        log = Path(self.file(stage, 'log'))
        # Trainings of this size mostly wait for each other on more threads.
        environment = dict(starter_environment(), OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', '1'))
        with log.open('w') as output:
            status = subprocess.call([sys.executable, *command], stdout=output, stderr=subprocess.STDOUT,
                                     env=environment)
        if status != 0:
            last = (log.read_text().strip().splitlines() or [''])[-1]
            raise TrainingError(f'{stage.name} of {self.row}, seed {self.seed}, has ended with status {status} '
                                f'({last}): see {log}; what is finished is kept.')


def runs_of(study: Study, work_dir: str) -> list[Run]:
    """All runs: every row with the first seed, then with the second, and so on; in folders ``ROW/seed_SEED``."""
    frozen = [Stage(_FROZEN, None)] if study.frozen else []
    runs = []
    for seed in study.seeds:
        trained = [Stage(row.name, _config_of(row, {}, seed)) for row in study.training]
        runs += [Run(row.name, seed, osp.join(work_dir, row.name, f'seed_{seed}'),
                     (Stage(_PRETRAINING, _config_of(row, study.options, seed)), *frozen, *trained))
                 for row in study.rows]
    return runs


def _config_of(row: Row, options: dict[str, Any], seed: int) -> str:
    cfg = load_config(row.config, cfg_options=dict(options, **row.options, **{'randomness.seed': seed}))
    cfg.pop('work_dir')  # which decides nothing
    return cfg.pretty_text


def unfinished(runs: Sequence[Run]) -> list[tuple[Run, Stage]]:
    """The stages that are still to do, in their order."""
    return [(run, stage) for run in runs for done in [run.results()] for stage in run.stages if stage.name not in done]


def _last_purity(work_dir: str) -> dict[str, float]:
    """Purity of the positives with which the training ended, if it had any and the images have labels."""
    path = Path(work_dir, 'neighbors.jsonl')
    last = json.loads(path.read_text().splitlines()[-1]) if path.exists() else {}
    # The first is that of the training's own strategy; others are compared with it.
    purities = [value for name, value in last.items() if name.startswith('purity_')]
    return dict(purity=purities[0]) if purities else {}


def _last_accuracy(work_dir: str) -> float:
    """Top-1 accuracy at the end, from 0 to 1. The best one would be chosen on the images it is measured on."""
    (path, ) = Path(work_dir).rglob('scalars.json')
    lines = map(json.loads, path.read_text().splitlines())
    return [line['accuracy/top1'] for line in lines if 'accuracy/top1' in line][-1] / 100
