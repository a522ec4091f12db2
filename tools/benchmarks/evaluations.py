"""Every evaluation of a checkpoint on the digits, by its own command, and how long each takes.

    python tools/prepare_digits.py data/digits
    python tools/train.py configs/clim/clim_r18_1xb32-20e_digits.py
    python tools/benchmarks/evaluations.py

The commands are those of docs/evaluation.md and docs/browsing.md.
"""

import argparse
import os.path as osp
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from pairs import write_figures

from clim_mm.distributed.end_process import starter_environment
from clim_mm.errors import CheckpointError, TrainingError
from clim_mm.launch.commands import errors_in_a_sentence

CONFIG = 'configs/clim/clim_r18_1xb32-20e_digits.py'
DIGITS = 'configs/benchmarks/classification/digits'
DATA = 'data/digits'
_FIGURE = re.compile(r'^(\w+) +(-?\d+\.\d+)$', re.MULTILINE)
_TOP1 = re.compile(r'accuracy/top1: ([\d.]+)')


def commands(checkpoint: str, folder: str) -> dict[str, Sequence[str]]:
    """By what they give; files go into ``folder``."""
    split = osp.join(folder, '1percent.txt')
    return {
        'kNN': ['tools/evaluate.py', 'knn', CONFIG, checkpoint],
        'probe': ['tools/evaluate.py', 'probe', CONFIG, checkpoint],
        'diagnostics': ['tools/evaluate.py', 'diagnostics', CONFIG, checkpoint],
        't-SNE': ['tools/evaluate.py', 'tsne', CONFIG, checkpoint, '--out', osp.join(folder, 'tsne.png')],
        'clusters': ['tools/evaluate.py', 'clusters', CONFIG, checkpoint, '--out', osp.join(folder, 'confusion.png'),
                     '--page', osp.join(folder, 'clusters.html')],
        'linear': ['tools/train.py', f'{DIGITS}/resnet18_linear-1xb32-steplr-30e_digits.py', '--pretrained', checkpoint,
                   '--work-dir', osp.join(folder, 'linear')],
        'list of 1 %': ['tools/make_label_split.py', f'{DATA}/train', '--percent', '1', '--out', split],
        '1 % of the labels': [
            'tools/train.py', f'{DIGITS}/resnet18_semi-1xb16-steplr-60e_digits-1pct.py', '--pretrained', checkpoint,
            '--work-dir', osp.join(folder, 'semi'), '--cfg-options', f'train_dataloader.dataset.split={split}'],
        'page of positives': ['tools/browse_neighbors.py', CONFIG, checkpoint, '--out',
                              osp.join(folder, 'positives.html')],
    }


def figures_in(printed: str) -> dict[str, float]:
    """What a command has printed: a measurement's figures, or the last accuracy of a training, from 0 to 1."""
    if top1 := _TOP1.findall(printed):
        return dict(top1=float(top1[-1]) / 100)
    return {name: float(value) for name, value in _FIGURE.findall(printed)}


def shown(figures: Mapping[str, float]) -> str:
    """The figures in a line; of many the first three."""
    return ', '.join(f'{name} {value:.4f}' for name, value in list(figures.items())[:3])


def main() -> None:
    parser = argparse.ArgumentParser(description='Run and time every evaluation of a checkpoint on the digits.')
    parser.add_argument('--checkpoint', default='work_dirs/clim_r18_1xb32-20e_digits/epoch_20.pth')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    args = parser.parse_args()
    seconds, figures = {}, {}
    with tempfile.TemporaryDirectory() as folder, errors_in_a_sentence():
        if not osp.isfile(args.checkpoint):
            raise CheckpointError(f'There is no checkpoint {args.checkpoint}: run python tools/train.py {CONFIG} '
                                  'first.')
        for name, command in commands(args.checkpoint, folder).items():
            start = time.perf_counter()
            done = subprocess.run([sys.executable, *command], text=True, check=False, env=starter_environment(),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                raise TrainingError(f'{name} has ended with status {done.returncode}: '
                                    f'{(done.stdout.strip().splitlines() or [""])[-1]}')
            seconds[name], figures[name] = time.perf_counter() - start, figures_in(done.stdout)
            print(f'{name:20}{seconds[name]:6.1f} s   {shown(figures[name])}')
        print(f'{"together":20}{sum(seconds.values()):6.1f} s')
        if args.json:
            write_figures(args.json, dict(seconds=seconds, figures=figures))


if __name__ == '__main__':
    main()
