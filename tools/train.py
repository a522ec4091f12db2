"""Train a model from a config: CLIM's, or any of MMClassification's and MMDetection's.

    python tools/train.py configs/clim/clim_r18_1xb32-20e_digits.py
    bash tools/dist_train.sh configs/clim/clim_r50_16xb32-1200e_in1k.py 16 --resume
"""

import argparse
import os
import os.path as osp
import sys

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base)
from clim_mm.engine.distributed import prepare_launch
from clim_mm.engine.launch_checks import check_config
from clim_mm.errors import ConfigError, UserError, sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model from a config.')
    parser.add_argument('config', help='the config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/CONFIG_NAME)')
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the latest in the work dir')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
        help='override settings, as in train_cfg.max_epochs=100 model.queue_len=4096')
    return parser.parse_args()


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and let the command line's options override it."""
    if not osp.isfile(args.config):
        raise ConfigError(f'There is no config {args.config}: the ones of this project are below configs/.')
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    name = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', name)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    return cfg


def main() -> None:
    args = parse_args()
    try:
        cfg = load_config(args)
        check_config(cfg, world_size=int(os.environ.get('WORLD_SIZE', os.environ.get('SLURM_NTASKS', 1))))
        prepare_launch(cfg, args.launcher)
        Runner.from_cfg(cfg).train()
    except UserError as error:
        sys.exit(f'Error: {sentence(error)}')


if __name__ == '__main__':
    main()
