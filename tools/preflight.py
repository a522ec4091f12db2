"""Look a training over before it starts: what it will take, and what looks wrong. It writes nothing but FILE.

    python tools/preflight.py configs/clim/clim_r50_16xb32-1200e_in1k.py --processes 16
"""

import argparse
import sys
import tempfile
from contextlib import suppress

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints import write_json
from clim_mm.config_file import load_config
from clim_mm.errors import ConfigError
from clim_mm.hooks.preflight_hook import PreflightHook
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence, train
from clim_mm.launch.config_checks import check_config
from clim_mm.preflight import Plan


class Prepared(Exception):
    """The training could start now."""


class StopBeforeTheFirstEpoch(Hook):
    """Ends a training whose preparations are complete."""

    priority = 'LOW'

    def before_train(self, runner: Runner) -> None:  # noqa: D102
        raise Prepared


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Plan a training, and say what looks wrong.')
    add_config_arguments(parser)
    parser.add_argument('--processes', type=int, default=1, metavar='N', help='that will train (default: 1)')
    parser.add_argument('--json', metavar='FILE', help='write the plan there too, as JSON')
    parser.add_argument('--strict', action='store_true', help='exit with status 1 if something looks wrong')
    return parser.parse_args()


def make_plan(cfg: Config, processes: int) -> Plan:
    """Prepare the config's training as far as its first epoch, in a folder that is removed again."""
    check_config(cfg)
    options = cfg.setdefault('default_hooks', {}).pop('preflight', None) or {}
    options = {name: value for name, value in options.items() if name not in ('type', '_scope_')}
    if options.get('seconds') == 0:  # no preflight at the start of trainings; here it is asked for
        del options['seconds']
    preflight = PreflightHook(**dict(options, processes=processes, work_dir=cfg.work_dir))
    with tempfile.TemporaryDirectory() as folder:
        # Nothing of what a training reports to, goes on from, or says meanwhile.
        cfg.merge_from_dict(dict(
            work_dir=folder, visualizer=None, resume=False, load_from=None, log_level='ERROR'))
        with suppress(Prepared):
            train(cfg, [], preflight, StopBeforeTheFirstEpoch())
    if preflight.plan is None:
        raise ConfigError('Only trainings by epochs and with one optimizer can be planned: set '
                          'train_cfg=dict(type="EpochBasedTrainLoop", ...).')
    return preflight.plan


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
