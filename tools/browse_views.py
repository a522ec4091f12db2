"""A picture of what the pipeline feeds the network: mixed queries at each resolution with their lam, and the keys.

    python tools/browse_views.py configs/clim/clim_r18_1xb32-20e_digits.py --out views.png
"""

import argparse
import os.path as osp

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import init_default_scope

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checks import check_whole
from clim_mm.config_file import load_config
from clim_mm.datasets.source import build_source
from clim_mm.errors import ConfigError
from clim_mm.evaluation.checkpoint_neighbors import table_of
from clim_mm.launch.commands import Options, errors_in_a_sentence
from clim_mm.launch.config_checks import check_config
from clim_mm.protocols import SeededSamples, TakesNeighbors
from clim_mm.registry import DATASETS
from clim_mm.visualization import evenly_spread
from clim_mm.visualization.fed_views import draw_views, fed_sample
from clim_mm.visualization.figures import check_picture, write_picture

LEGEND = 'Blue: the anchor, orange: the positive. λ: the share of the anchor\'s key in the loss.'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Show what the pipeline of a config feeds the network.')
    parser.add_argument('config', help='the config file')
    parser.add_argument('--num', type=int, default=16, help='samples, evenly spread over the set (default: 16)')
    parser.add_argument('--out', default='views.png', metavar='FILE', help='the picture: .png, .pdf or .svg')
    parser.add_argument(
        '--checkpoint', help='whose neighbour table gives the positives; without it they are other images at random')
    parser.add_argument('--epoch', type=int, default=0, help='whose random draws are shown (default: 0)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Options, metavar='KEY=VALUE',
        help='override settings, as in train_dataloader.dataset.dataset.data_root=FOLDER')
    return parser.parse_args()


def fill_table(pairs: TakesNeighbors, samples: np.ndarray, checkpoint: str | None, seed: int) -> str:
    """Give the samples positives, and say where they are from."""
    if checkpoint is not None:
        table = table_of(read_checkpoint(checkpoint), len(pairs), checkpoint)
        if table.shape[1] != pairs.table.num_positives:
            raise ConfigError(f'The table of {checkpoint} has {table.shape[1]} positives of each image, the config '
                              f'{pairs.table.num_positives}: set train_dataloader.dataset.num_positives.')
        pairs.table.publish(table)
        return f'Positives: from {osp.basename(checkpoint)}.'
    table = np.full((len(pairs), pairs.table.num_positives), -1, dtype=np.int32)
    if len(pairs) > 1:
        steps = np.random.default_rng(seed).integers(1, len(pairs), size=len(samples))
        table[samples, 0] = (samples + steps) % len(pairs)
    pairs.table.publish(table)
    return 'Positives: other images at random, since no checkpoint is given.'


def make_picture(cfg: Config, num: int, checkpoint: str | None, epoch: int) -> Figure:
    init_default_scope(cfg.default_scope)
    settings = cfg.train_dataloader.dataset
    dataset = DATASETS.build(settings) if 'dataset' in settings else build_source(settings)
    shown = evenly_spread(len(dataset), num)
    words = []
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    if isinstance(dataset, SeededSamples):
        dataset.randomness.start_epoch(seed, epoch)
    if isinstance(dataset, TakesNeighbors):
        words = [fill_table(dataset, shown, checkpoint, seed), LEGEND]
    to_rgb = bool((cfg.model.get('data_preprocessor') or {}).get('bgr_to_rgb', False))
    samples = [fed_sample(dataset, image_id, to_rgb) for image_id in shown.tolist()]
    title = '\n'.join([osp.basename(cfg.filename), *words])
    return draw_views(samples, getattr(dataset, 'dataset', dataset), title)


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence():
        check_picture('--out', args.out)
        check_whole('--num', args.num, least=1, most=200)
        check_whole('--epoch', args.epoch)
        cfg = load_config(args.config, cfg_options=args.cfg_options)
        check_config(cfg)
        write_picture(make_picture(cfg, args.num, args.checkpoint, args.epoch), args.out)
        print(f'What the network is fed: {args.out}')


if __name__ == '__main__':
    main()
