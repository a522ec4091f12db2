"""Pretrain CLIM on scikit-learn's digits, and say what was learned. Run it by tools/quickstart.sh."""

import json
import os
import os.path as osp
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
import numpy as np
from mmengine.config import Config
from prepare_digits import write_digits

from clim_mm.checkpoints import HeldFolder, latest_checkpoint, read_checkpoint, write_json
from clim_mm.datasets import labels_of
from clim_mm.datasets.source import build_source
from clim_mm.distributed.end_process import starter_environment
from clim_mm.evaluation import extract_settings, frozen_features, knn_top1, load_model, train_and_held_out
from clim_mm.health import STATES
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.visualization import draw_positives

CONFIG = 'configs/clim/clim_r18_1xb32-20e_digits.py'
DATA = 'data/digits'
WORK_DIR = 'work_dirs/quickstart'
SHOWN = ('Epoch(train)', 'Neighbours', *(f' - {state.capitalize()}' for state in STATES))  # of the log
PACKAGES = ('torch', 'torchvision', 'onedl-mmengine', 'onedl-mmcv', 'mmselfsup', 'mmcls', 'faiss-cpu', 'numpy')


def main() -> None:
    start = time.perf_counter()
    HeldFolder(WORK_DIR).release()  # another quickstart is not to lose its folder
    shutil.rmtree(WORK_DIR, ignore_errors=True)
    os.makedirs(WORK_DIR)
    write_digits(DATA)
    cfg = Config.fromfile(CONFIG)

    print(f'Pretraining CLIM on {DATA}/train with {CONFIG}; the whole log is in {WORK_DIR}/train.log', flush=True)
    train()
    checkpoint = latest_checkpoint(WORK_DIR)

    print('Measuring the frozen features by weighted 20-NN on the held-out digits', flush=True)
    top1 = dict(random_init=measure(cfg, None), clim=measure(cfg, checkpoint))
    refreshes = read_refreshes()
    draw(cfg, checkpoint)
    summary = dict(
        knn_top1=top1,
        positive_purity=[
            dict(epoch=r['epoch'], **{name: r[f'purity_{name}'] for name in ('center_wise', 'knn', 'kmeans')})
            for r in refreshes
        ],
        wall_s=round(time.perf_counter() - start, 1),
        versions=dict(python=platform.python_version(), **{name: version(name) for name in ('clim-mm', *PACKAGES)}),
        config=CONFIG,
        checkpoint=checkpoint)
    write_json(osp.join(WORK_DIR, 'summary.json'), summary)
    print(table(summary))


def train() -> None:
    """Run tools/train.py, keep its log, and show the lines a person wants."""
    command = [sys.executable, 'tools/train.py', CONFIG, '--work-dir', WORK_DIR]
    with open(osp.join(WORK_DIR, 'train.log'), 'w') as log:
        # On so small a network several threads mostly wait for each other, and for the loader's workers.
        environment = dict(starter_environment(), OMP_NUM_THREADS='1')
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith('Error') or any(start in line for start in SHOWN):
                message = line.partition(' - INFO - ')[2] or line
                print('  ' + message.strip(), flush=True)
    if process.wait() != 0:
        sys.exit(f'Error: the training ended with status {process.returncode}: see the end of {WORK_DIR}/train.log.')


def measure(cfg: Config, checkpoint: str | None) -> float:
    """20-NN top-1 on the held-out digits; the neighbours come from the training digits."""
    model, arrays = load_model(cfg, checkpoint), []
    for images in train_and_held_out(cfg):
        arrays += [frozen_features(model, images.views, extract_settings(cfg)), images.labels]
    return knn_top1(*arrays)


def read_refreshes() -> list[dict]:
    with open(osp.join(WORK_DIR, 'neighbors.jsonl')) as file:
        return [json.loads(line) for line in file]


def draw(cfg: Config, checkpoint: str) -> None:
    """One anchor of each class beside its positives of the last refresh."""
    source = build_source(cfg.train_dataloader.dataset.dataset)
    labels = labels_of(source)
    table = read_checkpoint(checkpoint)['neighbors']['table']
    anchors = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
    draw_positives(
        source, table['positives'].numpy(), anchors, osp.join(WORK_DIR, 'positives.png'), labels,
        'Anchors and their positives of the last refresh (green: the same digit)')


def table(summary: dict) -> str:
    top1, purities = summary['knn_top1'], summary['positive_purity']
    first, last = purities[0], purities[-1]
    rows = [
        ('weighted 20-NN top-1, held out', f'{top1["random_init"]:.1%}', f'{top1["clim"]:.1%}'),
        *((f'purity of {name} positives', f'{first[name]:.1%}', f'{last[name]:.1%}')
          for name in ('center_wise', 'knn', 'kmeans')),
    ]
    lines = [f'{"":34}{"random init":>12}{"CLIM":>9}']
    lines += [f'{name:34}{before:>12}{after:>9}' for name, before, after in rows]
    return '\n' + '\n'.join(lines) + (f'\n\nPurity: first refresh, and the last at epoch {last["epoch"]}. '
                                      f'{summary["wall_s"]:.0f} s in all.\nResults: {WORK_DIR}/summary.json, '
                                      f'{WORK_DIR}/positives.png')


if __name__ == '__main__':
    with errors_in_a_sentence():
        main()
