"""What can be known to be wrong from the config and the machine alone, before anything is built."""

from importlib.util import find_spec

from mmengine.config import Config
from mmengine.device import get_device

from clim_mm.errors import ConfigError, MissingDependencyError


def check_config(cfg: Config, world_size: int) -> None:
    """Check a config that is about to be trained, whoever's it is.

    Args:
        cfg: The config.
        world_size: Processes that will train.

    Raises:
        ConfigError: If a dataset has no hook to fill its table, the queue is shorter than a step's keys, or mixed
            precision is wanted without a GPU.
        MissingDependencyError: If MMDetection's models are wanted and mmcv has no compiled operators.
    """
    _check_operators(cfg)
    _check_mixed_precision(cfg)
    _check_pairs_have_a_hook(cfg)
    _check_queue(cfg, world_size)


def _check_operators(cfg: Config) -> None:
    if cfg.get('default_scope') == 'mmdet' and find_spec('mmcv._ext') is None:
        raise MissingDependencyError(
            'MMDetection needs mmcv\'s compiled operators, and the installed mmcv has none: build them with '
            '`pip install "setuptools>=77,<81" wheel ninja psutil && MAX_JOBS=2 pip install --no-build-isolation '
            '--no-cache-dir --force-reinstall --no-deps onedl-mmcv==2.3.6` (about 12 minutes on 2 cores).')


def _check_mixed_precision(cfg: Config) -> None:
    if cfg.get('optim_wrapper', {}).get('type') == 'AmpOptimWrapper' and get_device() == 'cpu':
        raise ConfigError('Mixed precision needs a GPU, and this machine shows none: leave out --amp (or set '
                          'optim_wrapper.type to "OptimWrapper").')


def _check_pairs_have_a_hook(cfg: Config) -> None:
    dataset_type = cfg.get('train_dataloader', {}).get('dataset', {}).get('type')
    hook_types = [hook['type'] for hook in cfg.get('custom_hooks') or []]
    if _is(dataset_type, 'NeighborPairs') and not any(_is(hook, 'CenterWiseNeighborHook') for hook in hook_types):
        raise ConfigError('The training set is a NeighborPairs, but no CenterWiseNeighborHook in custom_hooks fills '
                          'its table: inherit from configs/_base_/neighbors/center_wise.py, or train on plain views.')


def _check_queue(cfg: Config, world_size: int) -> None:
    model = cfg.get('model', {})
    batch_size = cfg.get('train_dataloader', {}).get('batch_size')
    if not _is(model.get('type'), 'CLIM') or batch_size is None:
        return
    keys, queue_len = batch_size * world_size, model.get('queue_len', 65536)
    if keys > queue_len:
        raise ConfigError(f'model.queue_len={queue_len} is too short for the {keys} keys of one step ({batch_size} '
                          f'images on {world_size} processes): set it to at least {keys}, or lower the batch size.')


def _is(type_name: object, name: str) -> bool:
    """Whether a config's ``type`` means ``name``, with or without the scope."""
    return isinstance(type_name, str) and type_name in (name, f'clim_mm.{name}')
