"""From the arguments of the detection commands to a config that a Runner can be made of."""

import os.path as osp
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope

from clim_mm.config_file import dicts_below, load_config

from .annotations import check_annotations
from .environment import check_environment
from .pretrained_part import check_norms_train, check_nothing_frozen, pretrained_part
from .start import NO_CHECKPOINT, check_fits, start_of

_WITH_RESULT_FILES = ('CocoMetric', 'LVISMetric')


def detector_config(config: str,
                    checkpoint: str,
                    work_dir: Optional[str] = None,
                    amp: bool = False,
                    cfg_options: Optional[dict] = None,
                    launcher: str = 'none') -> Config:
    """Read a detector's config for a checkpoint.

    Args:
        config: The config file.
        checkpoint: The second argument of the commands; it names the default of ``work_dir``.
        work_dir: Defaults to ``work_dirs/CONFIG_NAME/FOLDER-NAME`` of the checkpoint.
        amp, cfg_options, launcher: As for ``load_config``.

    Returns:
        The config. Its evaluations keep their result files, ``results.bbox.json`` and the like, in the work dir.

    Raises:
        MissingDependencyError: If MMDetection cannot run here.
        ConfigError: As for ``load_config``.
    """
    check_environment(lvis='lvis' in osp.basename(config))
    if work_dir is None:
        work_dir = osp.join('work_dirs', osp.splitext(osp.basename(config))[0], run_name(checkpoint))
    cfg = load_config(config, work_dir, amp, cfg_options, launcher)
    for name in ('val_evaluator', 'test_evaluator'):
        evaluators: Any = cfg.get(name) or []
        for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
            if evaluator.get('type') in _WITH_RESULT_FILES:
                evaluator.setdefault('outfile_prefix', osp.join(work_dir, 'results'))
    return cfg


def run_name(checkpoint: str) -> str:
    """A folder's name for what starts from a checkpoint: that of its folder and its own."""
    if checkpoint == NO_CHECKPOINT:
        return 'random'
    folder, name = osp.split(osp.abspath(checkpoint))
    return f'{osp.basename(folder)}-{osp.splitext(name)[0]}'


def check_detector(cfg: Config, checkpoint: str) -> None:
    """Look over a training before its data are read. One process of several is enough.

    Args:
        cfg: See :func:`detector_config`, after :func:`start_from`.
        checkpoint: As for :func:`start_from`.

    Raises:
        ConfigError, CheckpointError: If the detector cannot start from the checkpoint, or would not train all of it.
        DataError: If the annotations are not what the config is for.
    """
    start = start_of(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(cfg.model)
    part = pretrained_part(detector)
    if start != 'random':
        check_fits(part, cfg.model.get('data_preprocessor', {}), checkpoint, start)
    check_nothing_frozen(part)
    check_norms_train(detector, processes=1)
    check_annotations(cfg, names=('train', 'val'))


def without_synchronization(cfg: Config) -> None:
    """Take plain batch normalisation on a machine without GPUs, where torch does not synchronise it, and say so."""
    if torch.cuda.is_available():
        return
    settings: Any = dict(cfg.items())
    found: list[Any] = [part for _, part in dicts_below(dict(model=settings.get('model')))]
    changed = [part for part in found if part.get('type') == 'SyncBN']
    for part in changed:
        part['type'] = 'BN'
    if changed:
        print_log('There is no GPU: batch normalisation is not synchronised over processes (SyncBN becomes BN).',
                  logger='current')
