"""What can be known to be wrong from the config and the machine alone, before anything is built."""

from mmengine.config import Config
from mmengine.device import get_device

from clim_mm.checks import check_whole
from clim_mm.config_file import dicts_below
from clim_mm.errors import ConfigError
from clim_mm.neighbors.defaults import PAPER_QUEUE_LEN

from .detection_packages import check_scope
from .part_checks import check_parts

# The hooks without which a NeighborPairs goes wrong silently, and what each does for it.
_HOOKS_OF_PAIRS = dict(
    CenterWiseNeighborHook='fills its table', EpochRandomnessHook='starts its randomness at each epoch',
    QuarantineHook='lists its unreadable images')


def check_training(cfg: Config, world_size: int) -> None:
    """Check the parts of a config that is about to be trained, and how they fit together, whoever's it is.

    Args:
        cfg: After ``check_settings``.
        world_size: Processes that will train.
    """
    check_scope(cfg.get('default_scope'))  # what follows imports its modules
    check_parts(dict(cfg.items()))
    check_config(cfg, world_size)


def check_config(cfg: Config, world_size: int) -> None:
    """Check that the parts of a config fit together, and fit the machine; arguments as for ``check_training``."""
    check_scope(cfg.get('default_scope'))
    if (cfg.get('optim_wrapper') or {}).get('type') == 'AmpOptimWrapper' and get_device() == 'cpu':
        raise ConfigError('Mixed precision needs a GPU, and this machine shows none: leave out --amp (or set '
                          'optim_wrapper.type to "OptimWrapper", or to "Bf16OptimWrapper", which needs none).')
    _check_pairs_have_their_hooks(cfg)
    _check_views_are_finished(cfg)
    _check_queue(cfg, world_size)
    _check_checkpoints(cfg)


def _check_pairs_have_their_hooks(cfg: Config) -> None:
    if not _is(cfg.get('train_dataloader', {}).get('dataset', {}).get('type'), 'NeighborPairs'):
        return
    there = [hook.get('type') for hook in _hooks(cfg)]
    for needed, what_for in _HOOKS_OF_PAIRS.items():
        if not any(_is(hook, needed) for hook in there):
            raise ConfigError(f'The training set is a NeighborPairs, but no {needed} in custom_hooks or default_hooks '
                              f'{what_for}: inherit from configs/_base_/neighbors/center_wise.py and '
                              'configs/_base_/clim_runtime.py, or train on plain views.')


def _check_views_are_finished(cfg: Config) -> None:
    """Those that ``MultiRes`` defers to the device."""
    loaders = dict(train_dataloader=cfg.get('train_dataloader', {}))
    if not any(part.get('on_device') is True for _, part in dicts_below(loaders)):
        return
    dataset = loaders['train_dataloader'].get('dataset', {})
    is_packed = any(_is(part.get('type'), 'PackPair') for _, part in dicts_below(dict(dataset)))
    if not _is(dataset.get('type'), 'NeighborPairs') or not is_packed:
        raise ConfigError('MultiRes with on_device=True needs a NeighborPairs whose pipeline ends with PackPair: take '
                          'them, or leave out on_device.')
    preprocessor = (cfg.get('model', {}).get('data_preprocessor') or {}).get('type')
    if not _is(preprocessor, 'DeviceViews'):
        raise ConfigError('MultiRes with on_device=True sends views that are not finished: set '
                          f'model.data_preprocessor.type to "DeviceViews" instead of {preprocessor!r}, or leave out '
                          'on_device.')


def _hooks(cfg: Config) -> list[dict]:
    return [hook for hook in [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
            if isinstance(hook, dict)]


def _check_queue(cfg: Config, world_size: int) -> None:
    model = cfg.get('model', {})
    batch_size = cfg.get('train_dataloader', {}).get('batch_size')
    queue_len = model.get('queue_len', PAPER_QUEUE_LEN)
    if not _is(model.get('type'), 'CLIM') or batch_size is None or queue_len is None:
        return
    check_whole('model.queue_len', queue_len, least=1)
    keys = batch_size * world_size * (2 if model.get('enqueue_positives') else 1)
    if keys > queue_len:
        raise ConfigError(f'model.queue_len={queue_len} is too short for the {keys} keys of one step ({batch_size} '
                          f'images on {world_size} processes): set it to at least {keys}, or lower the batch size.')


def _check_checkpoints(cfg: Config) -> None:
    if not _is((cfg.get('model') or {}).get('type'), 'CLIM'):
        return
    loop = cfg.get('train_cfg') or {}
    by_epoch = loop.get('by_epoch', True) and loop.get('type', 'EpochBasedTrainLoop') == 'EpochBasedTrainLoop'
    for hook in _hooks(cfg):
        if hook.get('type') != 'CheckpointHook':
            continue
        if by_epoch and not hook.get('by_epoch', True):
            raise ConfigError('CheckpointHook.by_epoch=False saves in the middle of epochs, from where the training '
                              'cannot go on as if undisturbed: set it to True, with interval in epochs.')
        if hook.get('max_keep_ckpts') == 1:
            raise ConfigError('CheckpointHook.max_keep_ckpts=1 deletes the only checkpoint before its successor is '
                              'written, and a run that is killed in between loses all: set it to at least 2.')


def _is(type_name: object, name: str) -> bool:
    """Whether a config's ``type`` means ``name``, with or without the scope."""
    return isinstance(type_name, str) and type_name in (name, f'clim_mm.{name}')
