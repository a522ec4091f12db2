r"""Evaluate a trained detector. Usually started by one of the two scripts beside it:

    bash tools/benchmarks/dist_test_det.sh \
        configs/benchmarks/mmdetection/coco/mask-rcnn_r50-fpn_ms-1x_coco.py \
        work_dirs/mask-rcnn_r50-fpn_ms-1x_coco/clim_r50_16xb32-200e_in1k-epoch_200/epoch_12.pth 8

The figures go to figures.json of the work dir (by default the checkpoint's folder, then `test`), the detections to
results.*.json beside it.
"""

import argparse
import os.path as osp

import clim_mm  # noqa: F401  (lets MMEngine load checkpoints as data, and limits pictures before cv2 is imported)

# isort: split
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from clim_mm.checkpoints import write_json
from clim_mm.distributed import prepare_launch, watch_peers
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence
from clim_mm.transfer.detector_checks import check_annotations, check_whole_detector
from clim_mm.transfer.detector_config import detector_config, without_synchronization


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a trained detector.')
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='of a detector that was trained with this config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence(), watch_peers(args.launcher):
        work_dir = args.work_dir or osp.join(osp.dirname(osp.abspath(args.checkpoint)), 'test')
        cfg = detector_config(args.config, work_dir, args.amp, args.cfg_options, args.launcher)
        check_whole_detector(cfg, args.checkpoint)
        check_annotations(cfg, 'test')
        cfg.load_from = args.checkpoint
        prepare_launch(cfg, args.launcher)
        without_synchronization(cfg)
        figures = Runner.from_cfg(cfg).test()
        if is_main_process():
            write_json(osp.join(work_dir, 'figures.json'), dict(
                checkpoint=args.checkpoint, figures={name: float(value) for name, value in figures.items()}))


if __name__ == '__main__':
    main()
