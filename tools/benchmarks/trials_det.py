r"""Train a detector with several seeds, one after another, and put the means of their figures into a table.

    python tools/benchmarks/trials_det.py \
        configs/benchmarks/mmdetection/voc0712/faster-rcnn_r50-c4_ms-24k_voc0712.py \
        work_dirs/clim_r50_16xb32-200e_in1k/epoch_200.pth 8 --trials 5

Each trial is what tools/benchmarks/dist_train_det.sh does with --seed. A trial that is finished is not run again, one
that was broken off goes on. With another config, checkpoint or arguments than before the work dir is refused. The table
is written after each.
"""

import argparse
import os.path as osp
import subprocess
from typing import Any

import clim_mm  # noqa: F401  (limits pictures before cv2 is imported)

# isort: split
from clim_mm.checkpoints import write_atomically
from clim_mm.checkpoints.atomic_write import file_sha256
from clim_mm.checks import check_whole
from clim_mm.config_file import load_config
from clim_mm.distributed.end_process import starter_environment
from clim_mm.errors import TrainingError
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.transfer.detector_config import Start, add_start_arguments, start_of
from clim_mm.transfer.trials import check_premises, finished_figures, table_of_trials


def parse_args() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description='Train a detector with several seeds.',
        epilog='Further arguments go to tools/benchmarks/train_det.py, such as --amp or --cfg-options.')
    parser.add_argument('config', help='the config file')
    add_start_arguments(parser)
    parser.add_argument('gpus', type=int, help='processes of each training')
    parser.add_argument('--trials', type=int, default=5, help='how many (default: 5, as in the paper)')
    parser.add_argument('--first-seed', type=int, default=0, help='the others follow it (default: 0)')
    parser.add_argument('--work-dir', help='default: work_dirs/ROW/CHECKPOINT_NAME-trials')
    return parser.parse_known_intermixed_args()


def premises_of(args: argparse.Namespace, start: Start, more: list[str]) -> dict[str, Any]:
    """What decides the outcome of the trials beside their seeds; a checkpoint that is a file by what it holds."""
    checkpoint = file_sha256(start.checkpoint) if osp.isfile(start.checkpoint) else start.checkpoint or 'none'
    return {'config': load_config(args.config).pretty_text, 'checkpoint': checkpoint, 'number of GPUs': args.gpus,
            'set of further arguments': more}


def main() -> None:
    args, more = parse_args()
    with errors_in_a_sentence():
        check_whole('GPUS', args.gpus, least=1)
        check_whole('--trials', args.trials, least=1)
        check_whole('--first-seed', args.first_seed)
        start = start_of(args)
        name = start.row(args.config)
        work_dir = args.work_dir or f'{start.work_dir(args.config)}-trials'
        check_premises(work_dir, premises_of(args, start, more))
        folders = {seed: osp.join(work_dir, f'seed_{seed}')
                   for seed in range(args.first_seed, args.first_seed + args.trials)}
        figures = {seed: found for seed, folder in folders.items() if (found := finished_figures(folder)) is not None}
        for seed in sorted(folders.keys() - figures.keys()):
            script = osp.join(osp.dirname(__file__), 'dist_train_det.sh')
            command = ['bash', script, args.config, *([start.checkpoint] if start.checkpoint else []), str(args.gpus),
                       *([] if start.kind == 'pretraining' else ['--start', start.kind]), *more,
                       '--work-dir', folders[seed], '--seed', str(seed), '--resume']
            status = subprocess.call(command, env=starter_environment())
            found = finished_figures(folders[seed])
            if status != 0 or found is None:
                raise TrainingError(f'The trial with seed {seed} has ended with status {status} and without its last '
                                    f'figures: see {folders[seed]}; what is finished is kept.')
            figures[seed] = found
            table = table_of_trials(name, figures)
            write_atomically(osp.join(work_dir, 'trials.md'), table.markdown().encode())
        print(table_of_trials(name, figures).markdown())
        print(f'The table is {work_dir}/trials.md.')


if __name__ == '__main__':
    main()
