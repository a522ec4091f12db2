"""Pretrain CLIM and MoCo v2 on drawn textures, and say what was learned. Run it by tools/quickstart.sh."""

import json
import os
import os.path as osp
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
import numpy as np
from mmengine.config import Config
from prepare_textures import write_textures

from clim_mm.checkpoints import HeldFolder, latest_checkpoint, read_checkpoint, write_json
from clim_mm.datasets import labels_of
from clim_mm.datasets.source import build_source
from clim_mm.distributed.end_process import starter_environment
from clim_mm.errors import TrainingError
from clim_mm.evaluation import knn_top1
from clim_mm.evaluation.frozen_task import LabelledTask
from clim_mm.health import STATES
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.visualization import draw_positives

CONFIGS = dict(
    mocov2='configs/mocov2/mocov2_r18_1xb32-10e_textures.py',
    clim='configs/clim/clim_r18_1xb32-10e_textures_begin2.py')
DATA = 'data/textures'
WORK_DIR = 'work_dirs/quickstart'
SHOWN = ('Epoch(train)', 'Neighbours', *(f' - {state.capitalize()}' for state in STATES))  # of the log
PACKAGES = ('torch', 'torchvision', 'onedl-mmengine', 'onedl-mmcv', 'mmselfsup', 'mmcls', 'faiss-cpu', 'numpy')


def main() -> None:
    start = time.perf_counter()
    for folder in (WORK_DIR, *(osp.join(WORK_DIR, name) for name in CONFIGS)):
        HeldFolder(folder).release()  # another quickstart, or a training that outlives one, is not to lose its folder
    shutil.rmtree(WORK_DIR)
    HeldFolder(WORK_DIR)  # until this process ends
    write_textures(DATA)
    cfg = Config.fromfile(CONFIGS['clim'])

    print(f'Pretraining MoCo v2 and CLIM on {DATA}/train with {" and ".join(CONFIGS.values())}; the whole logs are '
          f'{WORK_DIR}/*.log', flush=True)
    with ThreadPoolExecutor(min(len(CONFIGS), os.cpu_count() or 1)) as pool:
        list(pool.map(train, CONFIGS))
    checkpoints = {name: latest_checkpoint(osp.join(WORK_DIR, name)) for name in CONFIGS}

    print('Measuring by weighted 20-NN on the held-out textures: pixels, and frozen features', flush=True)
    tasks = dict(random_init=LabelledTask(cfg, None),
                 **{name: LabelledTask(Config.fromfile(CONFIGS[name]), path) for name, path in checkpoints.items()})
    top1 = dict(pixels=pixels_top1(tasks['random_init']),
                **{name: knn_top1(*task.train_and_test()) for name, task in tasks.items()})
    refreshes = read_refreshes()
    draw(cfg, checkpoints['clim'])
    summary = dict(
        knn_top1=top1,
        positive_purity=[
            dict(epoch=r['epoch'], **{name: r[f'purity_{name}'] for name in ('center_wise', 'knn', 'kmeans')})
            for r in refreshes
        ],
        wall_s=round(time.perf_counter() - start, 1),
        versions=dict(python=platform.python_version(), **{name: version(name) for name in ('clim-mm', *PACKAGES)}),
        configs=CONFIGS,
        checkpoints=checkpoints)
    write_json(osp.join(WORK_DIR, 'summary.json'), summary)
    print(table(summary))


def train(name: str) -> None:
    """Run tools/train.py, keep its log, and show the lines a person wants."""
    command = [sys.executable, 'tools/train.py', CONFIGS[name], '--work-dir', osp.join(WORK_DIR, name)]
    path = osp.join(WORK_DIR, f'{name}.log')
    with open(path, 'w') as log:
        # On so small a network several threads mostly wait for each other, and for the loader's workers.
        environment = dict(starter_environment(), OMP_NUM_THREADS='1')
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith('Error') or any(start in line for start in SHOWN):
                message = line.partition(' - INFO - ')[2] or line
                print(f'  {name:7}{message.strip()}', flush=True)
    if process.wait() != 0:
        raise TrainingError(f'The training of {name} has ended with status {process.returncode}: see the end of '
                            f'{path}.')


def pixels_top1(task: LabelledTask) -> float:
    """20-NN top-1 by the pixels that the network is given, less their mean image."""
    arrays: list[np.ndarray] = []
    for images in (task.train, task.test):
        pixels = [images.views[i]['inputs'][0].numpy().ravel() for i in range(len(images.views))]
        arrays += [np.stack(pixels).astype(np.float32), images.labels]
    mean = arrays[0].mean(axis=0)
    return knn_top1(arrays[0] - mean, arrays[1], arrays[2] - mean, arrays[3])


def read_refreshes() -> list[dict]:
    with open(osp.join(WORK_DIR, 'clim', 'neighbors.jsonl')) as file:
        return [json.loads(line) for line in file]


def draw(cfg: Config, checkpoint: str) -> None:
    """One anchor of each class beside its positives of the last refresh."""
    source = build_source(cfg.train_dataloader.dataset.dataset)
    labels = labels_of(source)
    table = read_checkpoint(checkpoint)['neighbors']['table']
    anchors = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    draw_positives(
        source, table['positives'].numpy(), anchors, osp.join(WORK_DIR, 'positives.png'), labels,
        'Anchors and their positives of the last refresh (green: the same texture)')


def table(summary: dict) -> str:
    top1, purities = summary['knn_top1'], summary['positive_purity']
    first, last = purities[0], purities[-1]
    names = dict(pixels='the pixels', random_init='random network', mocov2='MoCo v2', clim='CLIM')
    lines = ['weighted 20-NN top-1, held out', *(f'  {names[name]:28}{value:>8.1%}' for name, value in top1.items()),
             f'purity of CLIM\'s positives before epochs {first["epoch"]} and {last["epoch"]}',
             *(f'  {name:28}{first[name]:>8.1%}{last[name]:>9.1%}' for name in ('center_wise', 'knn', 'kmeans'))]
    return '\n' + '\n'.join(lines) + (
        '\n\nOne seed: it shows that both learn, not which is better (docs/study.md has that). '
        f'{summary["wall_s"]:.0f} s in all.\nResults: {WORK_DIR}/summary.json, {WORK_DIR}/positives.png')


if __name__ == '__main__':
    with errors_in_a_sentence():
        main()
