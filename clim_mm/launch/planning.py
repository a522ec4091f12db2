"""The plan of a training, made by preparing it as far as its first epoch."""

import tempfile
from contextlib import suppress

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.errors import ConfigError
from clim_mm.hooks.preflight_hook import PreflightHook
from clim_mm.preflight import Plan

from .commands import train
from .config_checks import check_config


class _Prepared(Exception):
    """The training could start now."""


class _StopBeforeTheFirstEpoch(Hook):
    """Ends a training whose preparations are complete."""

    priority = 'LOW'

    def before_train(self, runner: Runner) -> None:
        """End it."""
        raise _Prepared


def make_plan(cfg: Config, processes: int, **options: float) -> Plan:
    """Prepare the config's training as far as its first epoch, in a folder that is removed again.

    Args:
        processes: That will train.
        options: Of the :class:`PreflightHook`, over those of the config.
    """
    check_config(cfg)
    settings = cfg.setdefault('default_hooks', {}).pop('preflight', None) or {}
    settings = {name: value for name, value in settings.items() if name not in ('type', '_scope_')}
    if settings.get('seconds') == 0:  # no preflight at the start of trainings; here it is asked for
        del settings['seconds']
    preflight = PreflightHook(**dict(settings, processes=processes, work_dir=cfg.work_dir, **options))
    with tempfile.TemporaryDirectory() as folder:
        # Nothing of what a training reports to, goes on from, or says meanwhile.
        cfg.merge_from_dict(dict(
            work_dir=folder, visualizer=None, resume=False, load_from=None, log_level='ERROR'))
        with suppress(_Prepared):
            train(cfg, [], preflight, _StopBeforeTheFirstEpoch())
    if preflight.plan is None:
        raise ConfigError('Only trainings by epochs and with one optimizer can be planned: set '
                          'train_cfg=dict(type="EpochBasedTrainLoop", ...).')
    return preflight.plan
