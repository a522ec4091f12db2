"""From the arguments of the detection commands to a config that a Runner can be made of."""

import argparse
import os.path as osp
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope

from clim_mm.checkpoints.backbone import backbone_init
from clim_mm.config_file import dicts_below, load_config
from clim_mm.errors import ConfigError
from clim_mm.launch.config_checks import check_detection_packages

from .detector_checks import (
    check_annotations,
    check_fits,
    check_norms_train,
    check_nothing_frozen,
    pretrained_part,
)


@dataclass(frozen=True)
class Start:
    """What a detector's backbone starts from."""

    kind: str  # pretraining, supervised or random
    checkpoint: str = ''  # a file, or an address that MMEngine knows

    def row(self, config: str) -> str:
        """The name of a table's row: the config's, with ``_supervised`` or ``_random``."""
        name = osp.splitext(osp.basename(config))[0]
        return name if self.kind == 'pretraining' else f'{name}_{self.kind}'

    def work_dir(self, config: str) -> str:
        """``work_dirs/ROW``, and below it the name of the checkpoint with its folder's."""
        folder, name = osp.split(osp.abspath(self.checkpoint))
        below = [f'{osp.basename(folder)}-{osp.splitext(name)[0]}'] if self.checkpoint else []
        return osp.join('work_dirs', self.row(config), *below)


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``CHECKPOINT`` and ``--start``; they want ``parse_intermixed_args``, since either can be left out."""
    parser.add_argument('checkpoint', nargs='?', help='as pretraining wrote it')
    parser.add_argument(
        '--start', metavar='supervised|random|CHECKPOINT',
        help='what the backbone starts from: a supervised ResNet (torchvision\'s, or the one in CHECKPOINT), nothing, '
        'or a pretraining')


def start_of(args: argparse.Namespace) -> Start:
    """What a command's CHECKPOINT and ``--start`` say."""
    if args.start == 'supervised':  # by default MMEngine downloads it, or finds it in torch's cache
        return Start('supervised', args.checkpoint or 'torchvision://resnet50')
    if (args.checkpoint is None) == (args.start is None):
        raise ConfigError(f'CHECKPOINT is {args.checkpoint}, and --start is {args.start}: give a pretraining\'s '
                          'checkpoint, or --start supervised, or --start random.')
    return Start('random') if args.start == 'random' else Start('pretraining', args.start or args.checkpoint)


def detector_config(config: str, work_dir: str, amp: bool = False, cfg_options: Optional[dict] = None,
                    launcher: str = 'none') -> Config:
    """Read a detector's config as ``load_config`` does, with its evaluations' result files in the work dir."""
    check_detection_packages(lvis='lvis' in osp.basename(config))
    cfg = load_config(config, work_dir, amp, cfg_options, launcher)
    evaluators = [cfg.get(name) for name in ('val_evaluator', 'test_evaluator')]
    for evaluator in _parts(evaluators, 'CocoMetric', 'LVISMetric'):
        evaluator.setdefault('outfile_prefix', osp.join(work_dir, 'results'))
    return cfg


def _parts(settings: Any, *types: str) -> list[Any]:
    """All dicts with one of these types in nested settings."""
    return [part for _, part in dicts_below(settings) if part.get('type') in types]


def start_from(cfg: Config, start: Start) -> None:
    """Let a config's detector start from a checkpoint: its backbone, and with C4 the head that boxes share."""
    hooks = _parts(cfg.get('custom_hooks'), 'TransferPreflightHook')
    if not hooks:
        raise ConfigError('The config has no TransferPreflightHook in custom_hooks, which checks the backbone\'s '
                          'weights: inherit from a config below configs/benchmarks/mmdetection.')
    hooks[0]['start'] = start.kind
    init_cfg: Any = backbone_init(start.checkpoint) if start.checkpoint else None
    cfg.model.backbone.init_cfg = init_cfg
    if 'shared_head' in cfg.model.get('roi_head', {}):
        cfg.model.roi_head.shared_head.init_cfg = init_cfg


def check_detector(cfg: Config, start: Start) -> None:
    """Check a training after :func:`start_from`, before its data are read. One process of several is enough."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(cfg.model)
    part = pretrained_part(detector)
    if start.checkpoint:
        check_fits(part, cfg.model.get('data_preprocessor', {}), start.checkpoint, start.kind)
    check_nothing_frozen(part)
    check_norms_train(detector, processes=1)
    check_annotations(cfg, 'train', 'val')


def without_synchronization(cfg: Config) -> None:
    """Take plain batch normalisation on a machine without GPUs, where torch does not synchronise it, and say so."""
    found = _parts(cfg.model, 'SyncBN')
    if found and not torch.cuda.is_available():
        for part in found:
            part['type'] = 'BN'
        print_log('There is no GPU: batch normalisation is not synchronised over processes (SyncBN becomes BN).',
                  logger='current')
