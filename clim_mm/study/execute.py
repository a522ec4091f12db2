"""Run a stage as a user would by hand: the commands of tools/, in a process of their own."""

import json
import os
import os.path as osp
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from clim_mm.checkpoints import HeldFolder, latest_checkpoint
from clim_mm.distributed.end_process import starter_environment
from clim_mm.errors import TrainingError

from .runs import PRETRAINING, Run, Stage, write_config

_ACCURACY = 'accuracy/top1'


def execute(run: Run, stage: Stage, tools: str) -> None:
    """Run a stage, and keep its figures in the run's results.

    A pretraining that was broken off goes on from its last checkpoint; anything else begins again.

    Args:
        run, stage: What is to be done; the stages before it are done.
        tools: Folder of the commands.

    Raises:
        CheckpointError: If another training is in the stage's folder.
        TrainingError: If the command ends with an error.
    """
    start = time.perf_counter()
    os.makedirs(run.folder, exist_ok=True)
    config, work_dir = write_config(run, stage), osp.join(run.folder, stage.name)
    if stage.name == PRETRAINING:
        _call(run, stage, [osp.join(tools, 'train.py'), config, '--work-dir', work_dir, '--resume'])
        figures = _last_refresh(work_dir)
    elif stage.trains:
        HeldFolder(work_dir).release()  # one that outlives a study that was killed is not to lose its folder
        shutil.rmtree(work_dir, ignore_errors=True)
        _call(run, stage, [osp.join(tools, 'train.py'), config, '--work-dir', work_dir, '--pretrained',
                           _checkpoint(run)])
        figures = {f'{stage.name}_top1': _last_accuracy(work_dir)}
        shutil.rmtree(work_dir)  # weights that nobody asks for
    else:
        out = osp.join(run.folder, f'{stage.name}.json')
        _call(run, stage, [osp.join(tools, 'evaluate.py'), 'figures', config, _checkpoint(run), '--json', out])
        with open(out) as file:
            figures = {name: value for name, value in json.load(file).items() if name != 'premises'}
    run.add_result(stage, figures, time.perf_counter() - start)


def _call(run: Run, stage: Stage, command: Sequence[str]) -> None:
    log = osp.join(run.folder, f'{stage.name}.log')
    # Trainings of this size mostly wait for each other on more threads.
    environment = dict(starter_environment(), OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', '1'))
    with open(log, 'w') as output:
        status = subprocess.call(
            [sys.executable, *command], stdout=output, stderr=subprocess.STDOUT, env=environment)
    if status != 0:
        with open(log) as output:
            last = (output.read().strip().splitlines() or [''])[-1]
        raise TrainingError(f'{stage.name} of {run.row}, seed {run.seed}, has ended with status {status} ({last}): see '
                            f'{log}; what is finished is kept.')


def _checkpoint(run: Run) -> str:
    checkpoint = latest_checkpoint(osp.join(run.folder, PRETRAINING))
    if checkpoint is None:
        raise TrainingError(f'The pretraining of {run.row}, seed {run.seed}, has left no checkpoint in {run.folder}: '
                            'let its config save the last one, or take the folder away to train again.')
    return checkpoint


def _last_refresh(work_dir: str) -> dict[str, float]:
    """Purity of the positives with which the training ended, if it had any and the images have labels."""
    path = osp.join(work_dir, 'neighbors.jsonl')
    if not osp.exists(path):
        return {}
    with open(path) as file:
        last = json.loads(file.readlines()[-1])
    # The first is that of the training's own strategy; others are compared with it.
    purities = [value for name, value in last.items() if name.startswith('purity_')]
    return dict(purity=purities[0]) if purities else {}


def _last_accuracy(work_dir: str) -> float:
    """Top-1 accuracy at the end, from 0 to 1. The best one would be chosen on the images it is measured on."""
    (path, ) = [osp.join(folder, name) for folder, _, names in os.walk(work_dir) for name in names
                if name == 'scalars.json']
    with open(path) as file:
        values = [line[_ACCURACY] for line in map(json.loads, file) if _ACCURACY in line]
    return values[-1] / 100
