r"""Train a model from a config: CLIM's, or any of MMClassification's and MMDetection's.

    python tools/train.py configs/clim/clim_r18_1xb32-20e_digits.py
    bash tools/dist_train.sh configs/clim/clim_r50_16xb32-1200e_in1k.py 16 --resume
    bash tools/dist_train.sh configs/benchmarks/classification/imagenet/resnet50_linear-8xb32-steplr-100e_in1k.py 8 \
        --pretrained work_dirs/clim_r50_16xb32-1200e_in1k/epoch_1200.pth
"""

import argparse

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from mmengine.config import Config
from mmengine.device import get_device

from clim_mm.config_file import load_config
from clim_mm.distributed import prepare_launch, watch_peers
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence, keep_memory, start_backbone, train
from clim_mm.launch.config_checks import check_config
from clim_mm.launch.run_folders import held_folders


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model from a config.')
    add_config_arguments(parser)
    parser.add_argument(
        '--resume', nargs='?', const='auto', metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the latest in the work dir')
    parser.add_argument(
        '--pretrained', metavar='CHECKPOINT',
        help='a pretraining checkpoint, as it was written, that the backbone starts from')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def config_of(args: argparse.Namespace) -> Config:
    """The config as the command line has it."""
    cfg = load_config(args.config, args.work_dir, args.amp, args.cfg_options, args.launcher)
    if args.pretrained is not None:
        start_backbone(cfg, args.pretrained)
    check_config(cfg)
    return cfg


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence(resumes=True), watch_peers(args.launcher) as peers:
        cfg = config_of(args)
        with held_folders(cfg, args.resume, peers) as folders:
            prepare_launch(cfg, args.launcher)
            if get_device() == 'cpu':
                keep_memory()
            train(cfg, folders)


if __name__ == '__main__':
    main()
