"""Look a training over before it starts: what it will take, and what looks wrong. It writes nothing but FILE.

    python tools/preflight.py configs/clim/clim_r50_16xb32-1200e_in1k.py --processes 16
"""

import argparse
import sys

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from clim_mm.checkpoints import write_json
from clim_mm.config_file import load_config
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence
from clim_mm.launch.planning import make_plan


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Plan a training, and say what looks wrong.')
    add_config_arguments(parser)
    parser.add_argument('--processes', type=int, default=1, metavar='N', help='that will train (default: 1)')
    parser.add_argument('--json', metavar='FILE', help='write the plan there too, as JSON')
    parser.add_argument('--strict', action='store_true', help='exit with status 1 if something looks wrong')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence():
        cfg = load_config(args.config, args.work_dir, args.amp, args.cfg_options)
        plan = make_plan(cfg, args.processes)
        print(plan.table(), plan.verdict(), sep='\n')
        if args.json:
            write_json(args.json, plan.to_dict())
    sys.exit(1 if args.strict and plan.findings else 0)


if __name__ == '__main__':
    main()
