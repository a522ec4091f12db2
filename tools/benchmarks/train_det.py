r"""Train a detector of MMDetection from a pretraining checkpoint. Usually started by one of the two scripts beside it:

    bash tools/benchmarks/dist_train_det.sh \
        configs/benchmarks/mmdetection/voc0712/faster-rcnn_r50-c4_ms-24k_voc0712.py \
        work_dirs/clim_r50_16xb32-200e_in1k/epoch_200.pth 8
    bash tools/benchmarks/dist_train_det.sh configs/benchmarks/mmdetection/coco/... 8 --start random   # or supervised

Before training it is checked that all of the pretraining lands in the detector and trains: docs/detection.md.
"""

import argparse

import clim_mm  # noqa: F401  (lets MMEngine load checkpoints as data, and limits pictures before cv2 is imported)

# isort: split
from mmengine.config import Config

from clim_mm.checks import check_whole
from clim_mm.distributed import prepare_launch, watch_peers
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence, train
from clim_mm.launch.config_checks import check_config
from clim_mm.launch.run_folders import held_folders
from clim_mm.transfer.detector_config import (
    add_start_arguments,
    check_detector,
    detector_config,
    start_from,
    start_of,
    without_synchronization,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a detector from a pretraining checkpoint.')
    add_config_arguments(parser)
    add_start_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='go on from this checkpoint of the detector, or from the latest in the work dir')
    parser.add_argument('--seed', type=int, help='of the training (default: a new one each time)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_intermixed_args()


def config_of(args: argparse.Namespace) -> Config:
    """The config as the command line has it."""
    check_whole('--seed', args.seed, optional=True)
    start = start_of(args)
    work_dir = args.work_dir or start.work_dir(args.config)
    cfg = detector_config(args.config, work_dir, args.amp, args.cfg_options, args.launcher)
    start_from(cfg, start)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    seed = (cfg.get('randomness') or {}).get('seed')
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='FiguresHook', seed=seed)]
    check_config(cfg)
    return cfg


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence(resumes=True), watch_peers(args.launcher) as peers:
        cfg = config_of(args)
        with held_folders(cfg, args.resume, peers) as folders:
            if folders:  # on rank 0; when it ends, the others end too
                check_detector(cfg, start_of(args))
            prepare_launch(cfg, args.launcher)
            without_synchronization(cfg)
            train(cfg, folders)


if __name__ == '__main__':
    main()
