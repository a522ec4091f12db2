"""Configs as the commands read them."""

import inspect
import os.path as osp
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from mmengine.config import Config
from mmengine.runner import Runner

from .checks import suggestion
from .errors import ConfigError, on_one_line

# What a Runner takes from a config, or looks up in it.
KNOWN_KEYS = (*(name for name in inspect.signature(Runner).parameters if name != 'cfg'), 'compile', 'custom_imports',
              'model_wrapper_cfg', 'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval',
              'sync_bn', 'runner_type')


def load_config(path: str,
                work_dir: Optional[str] = None,
                amp: bool = False,
                cfg_options: Optional[dict] = None,
                launcher: str = 'none') -> Config:
    """Read a config and let the command line's options override it.

    Args:
        work_dir: Defaults to the config's, or ``work_dirs/CONFIG_NAME``.
        amp: Train in mixed precision.
        cfg_options: Settings by dotted keys.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
    """
    if not osp.isfile(path):
        raise ConfigError(f'There is no config {path}: the ones of this project are below configs/.')
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # a config is code
        raise ConfigError(
            f'The config {path} cannot be read ({type(error).__name__}: {on_one_line(error)}): correct it.') from error
    cfg.launcher = launcher
    for key, value in (cfg_options or {}).items():
        if (name := key.partition('.')[0]) not in (*cfg, *KNOWN_KEYS):
            raise ConfigError(f'--cfg-options {key}: there is no {name} in the config, and nothing would read it'
                              f'{suggestion(name, [*cfg, *KNOWN_KEYS])}.')
        try:
            cfg.merge_from_dict({key: value})
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f'--cfg-options {key} does not fit the config ({on_one_line(error)}): correct '
                              'it.') from error
    cfg.work_dir = work_dir or cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(path))[0])
    if amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    return cfg


def dicts_below(value: Any, path: str = '') -> Iterator[tuple[str, Mapping]]:
    """All dicts in nested settings, with their dotted keys."""
    if isinstance(value, Mapping):
        yield path, value
        items: Any = value.items()
    else:
        items = enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, inner in items:
        yield from dicts_below(inner, f'{path}.{key}' if path else str(key))
