"""MoCo v2 by this project and by its peers, on the same images, network, views, batch, steps and optimizer, in turns.

    bash tools/benchmarks/setup_peers.sh       an environment of the peers' own, .venv-peers
    python tools/benchmarks/peers.py data/cifar10_10k
    python tools/benchmarks/peers.py data/cifar10_10k --epochs 2 --seeds 0 --peers lightly

``lightly`` trains MoCo v2 by lightly's parts. ``lightly_train`` is LightlyTrain's one call, for as many seconds as this
project's training of that seed took: another method, whose batch and augmentations are its own. What is finished is not
run again. Written to the work dir: ``table.md`` and ``runs.csv``; images a second leave out the first epoch, in which
workers start; ``of_ours`` is their ratio to this project's of the same seed. Seconds are from the start of the process
to the end of its training; memory is the resident peak of it and of its largest worker, which share pages, or on a GPU
the device's. Give the machine nothing else to do.
"""

import argparse
import json
import os
import os.path as osp
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
import numpy as np
from pairs import machine

from clim_mm.checkpoints import write_atomically, write_json
from clim_mm.checks import check_choice, check_whole
from clim_mm.config_file import load_config
from clim_mm.errors import ConfigError, DataError, TrainingError
from clim_mm.evaluation import knn_top1, probe_top1
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.neighbors.defaults import default_queue_len
from clim_mm.progress import progress_bar
from clim_mm.registry import MODELS
from clim_mm.study import Figure, Table, runs_csv

CONFIG = 'configs/mocov2/mocov2_r18_1xb40-12e_cifar10.py'
OURS, PEERS = 'ours', ('lightly', 'lightly_train')
FOLDER = Path(__file__).parent / 'peer_trainings'
METRICS = ('images_per_second', 'of_ours', 'peak_mb', 'seconds', 'knn_20_top1', 'probe_top1')


def job_of(args: argparse.Namespace, seed: int, out: str) -> dict[str, Any]:
    """What every contender is given: this project's config in plain words."""
    options = {
        'source.data_root': args.data, 'train_dataloader.dataset.dataset.data_root': args.data,
        'train_dataloader.num_workers': args.workers, 'train_cfg.max_epochs': args.epochs, 'randomness.seed': seed,
        'default_hooks.preflight.seconds': 0, 'default_hooks.checkpoint.interval': args.epochs}
    cfg = load_config(args.config, cfg_options=options)
    model, loader, sgd = cfg.model, cfg.train_dataloader, cfg.optim_wrapper.optimizer
    two_views = next(step for step in loader.dataset.pipeline if step.type.endswith('MultiView'))
    crop, jitter, gray, flip = two_views.transforms[0]
    colours = jitter.transforms[0]
    groups = MODELS.build(model).key_shuffle.groups(loader.batch_size)
    num_images = sum(path.is_file() for path in Path(args.data, 'train').rglob('*'))
    return dict(
        data=osp.abspath(args.data), out=osp.abspath(out), config=args.config, options=options, seed=seed,
        epochs=args.epochs, workers=args.workers, threads=args.threads, batch_size=loader.batch_size,
        side=crop.size, smallest_scale=crop.scale[0],
        jitter=[colours.brightness, colours.contrast, colours.saturation, colours.hue], jitter_prob=jitter.prob,
        gray_prob=gray.prob, flip_prob=flip.prob,
        mean=[value / 255 for value in model.data_preprocessor.mean],
        std=[value / 255 for value in model.data_preprocessor.std],
        base_channels=model.backbone.base_channels, pooled_dim=model.neck.in_channels,
        hidden_dim=model.neck.hid_channels, feat_dim=model.neck.out_channels,
        queue_len=model.queue_len or default_queue_len(num_images, loader.batch_size), bn_splits=groups,
        temperature=model.head.temperature, encoder_momentum=model.momentum,
        lr=sgd.lr, sgd_momentum=sgd.momentum, weight_decay=sgd.weight_decay)


def train(contender: str, python: str, job: Mapping[str, Any]) -> None:
    """Run a contender's training in a process of its own, if its figures are not there yet."""
    out = Path(job['out'])
    if (out / 'figures.json').exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    write_json(str(out / 'job.json'), dict(job))
    environment = dict(os.environ, OMP_NUM_THREADS=str(job['threads']))
    with (out / 'training.log').open('w') as log:
        status = subprocess.call([python, str(FOLDER / f'train_{contender}.py'), str(out / 'job.json')], stdout=log,
                                 stderr=subprocess.STDOUT, env=environment)
    if status != 0:
        last = ((out / 'training.log').read_text().strip().splitlines() or [''])[-1]
        raise TrainingError(f'The training of {contender}, seed {job["seed"]}, has ended with status {status} '
                            f'({last}): see {out / "training.log"}; what is finished is kept.')


def figures_of(contender: str, out: Path, ours: Mapping[str, float]) -> dict[str, float]:
    """What it measured itself, and the accuracy of its features by this project's evaluation."""
    own = json.loads((out / 'figures.json').read_text())
    with np.load(out / 'features.npz') as parts:
        features = [parts[name] for name in ('train', 'train_labels', 'test', 'test_labels')]
    figures = {name: own[name] for name in ('images_per_second', 'peak_mb', 'seconds')}
    if contender != OURS and own['parameters'] != ours['parameters']:
        raise ConfigError(f'The network of {contender} has {own["parameters"]:.0f} parameters, and ours '
                          f'{ours["parameters"]:.0f}: compare the same.')
    figures['of_ours'] = own['images_per_second'] / ours['images_per_second']
    return dict(figures, knn_20_top1=knn_top1(*features), probe_top1=probe_top1(*features))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Compare MoCo v2 with that of lightly, and with LightlyTrain.')
    parser.add_argument('data', help='a folder with train/CLASS/IMAGE and test/CLASS/IMAGE, such as data/cifar10_10k')
    parser.add_argument('--config', default=CONFIG, help=f'of MoCo v2 on small images (default: {CONFIG})')
    parser.add_argument('--peers', nargs='*', default=list(PEERS), help=f'of {", ".join(PEERS)} (default: all)')
    parser.add_argument('--peer-python', default='.venv-peers/bin/python',
                        help='their interpreter (default: %(default)s)')
    parser.add_argument('--epochs', type=int, default=12, help='of a training (default: %(default)s)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='a training each (default: 0 1 2)')
    parser.add_argument('--workers', type=int, default=1, help='that make views (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='of torch in a training (default: %(default)s)')
    parser.add_argument('--work-dir', default='work_dirs/peers', help='(default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence():
        for peer in args.peers:
            check_choice('Each of --peers', peer, PEERS)
        check_whole('--epochs', args.epochs, least=2)
        check_whole('--threads', args.threads, least=1)
        if args.peers and not osp.isfile(args.peer_python):
            raise ConfigError(f'There is no {args.peer_python}: run bash tools/benchmarks/setup_peers.sh, or name the '
                              'interpreter by --peer-python.')
        for part in ('train', 'test'):
            if not osp.isdir(osp.join(args.data, part)):
                raise DataError(f'{args.data} has no folder {part}: tools/prepare_subset.py makes such folders.')
        contenders = [OURS, *args.peers]
        values: dict[str, dict[str, dict[int, float]]] = {name: {metric: {} for metric in METRICS}
                                                          for name in contenders}
        with progress_bar(total=len(contenders) * len(args.seeds), desc='peers', unit='training') as bar:
            for seed in args.seeds:
                ours: dict[str, float] = {}
                for contender in contenders:
                    out = Path(args.work_dir, contender, f'seed_{seed}')
                    job = job_of(args, seed, str(out))
                    train(contender, sys.executable if contender == OURS else args.peer_python,
                          dict(job, seconds=ours.get('seconds')))
                    ours = ours or json.loads((out / 'figures.json').read_text())
                    for name, value in figures_of(contender, out, ours).items():
                        values[contender][name][seed] = value
                    bar.update()
        table = Table(OURS, METRICS, values).markdown()
        write_atomically(osp.join(args.work_dir, 'table.md'), table.encode())
        rows = [Figure(contender, seed, name, value) for contender, metrics in values.items()
                for name, by_seed in metrics.items() for seed, value in by_seed.items()]
        write_atomically(osp.join(args.work_dir, 'runs.csv'), runs_csv(rows).encode())
        print(f'{table}\n{json.dumps(machine())}')


if __name__ == '__main__':
    main()
