"""What MMEngine and torch would take as a config has it, and what would go wrong silently or hours later."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from inspect import signature
from numbers import Real
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from clim_mm.checks import MOST_WORKERS, check_bool, check_keys, check_list, check_number, check_whole, suggestion
from clim_mm.config_file import KNOWN_KEYS, dicts_below
from clim_mm.errors import ConfigError, MissingDependencyError

_Rule = Callable[[str, Any], None]
_NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
_OPTIMIZERS_WITH_LR = ('SGD', 'Adam', 'AdamW', 'LARS')  # torch's own default fits no training
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_DETECTION_PACKAGES = dict(mmdet='onedl-mmdetection', pycocotools='pycocotools', lvis='lvis')  # by the modules' names


def _check_kind(name: str, value: Any, kind: Any, words: str) -> None:
    if not isinstance(value, kind):
        raise ConfigError(f'{name} must be {words}, not {value!r}.')


def _check_numbers(name: str, value: Any, above: float) -> None:
    check_list(name, value)
    for number in value:
        check_number(f'each value of {name}', number, above=above)


def _check_count(name: str, value: Any, unlike: int, why: str) -> None:
    check_whole(name, value, least=-1)
    if value == unlike:
        raise ConfigError(f'{name}={value} {why}.')


def _check_checkpoint_hook(name: str, value: Any) -> None:
    if isinstance(value, Mapping) and value.get('type') == 'CheckpointHook':  # it would hand on what it does not know
        known = signature(CheckpointHook).parameters
        check_keys(name, value, required=(), allowed=('type', 'priority', '_scope_', *known))


def _check_probability(name: str, value: Any) -> None:
    if isinstance(value, Real):  # some transforms take a list
        check_number(name, value, least=0, most=1)


_DICT: _Rule = partial(_check_kind, kind=Mapping, words='a dict')
_RULES_OF_LOADERS: dict[str, _Rule] = {
    'batch_size': partial(check_whole, least=1),
    'num_workers': partial(check_whole, most=MOST_WORKERS),
    'pin_memory': check_bool,
    'drop_last': check_bool,
    'sampler.shuffle': check_bool,
}
_RULES: dict[str, _Rule] = {
    **dict.fromkeys([*_NEEDED, 'train_dataloader.dataset', 'train_dataloader.sampler', 'default_hooks',
                     'optim_wrapper.optimizer'], _DICT),
    'custom_hooks': partial(_check_kind, kind=(list, tuple, type(None)), words='a list'),
    **{f'{loader}.{key}': rule for loader in _LOADERS for key, rule in _RULES_OF_LOADERS.items()},
    'train_cfg.max_epochs': partial(check_whole, least=1),
    'optim_wrapper.accumulative_counts': partial(check_whole, least=1),
    'optim_wrapper.optimizer.lr': partial(check_number, above=0),
    'optim_wrapper.optimizer.momentum': partial(check_number, least=0, below=1),
    'optim_wrapper.optimizer.weight_decay': partial(check_number, least=0),
    'optim_wrapper.clip_grad.max_norm': partial(check_number, above=0),
    'model.data_preprocessor.mean': partial(_check_numbers, above=-math.inf),
    'model.data_preprocessor.std': partial(_check_numbers, above=0),
    'model.data_preprocessor.bgr_to_rgb': check_bool,
    'default_hooks.logger.interval': partial(check_whole, least=1),
    'default_hooks.checkpoint': _check_checkpoint_hook,
    'default_hooks.checkpoint.interval': partial(
        _check_count, unlike=0, why='never saves: set it to at least 1, or to -1 if that is meant'),
    'default_hooks.checkpoint.max_keep_ckpts': partial(
        _check_count, unlike=1, why='deletes the only checkpoint before its successor is written, and a run that is '
        'killed in between loses all: set it to at least 2'),
    'default_hooks.checkpoint.by_epoch': check_bool,
    'default_hooks.checkpoint.save_optimizer': check_bool,
    'default_hooks.checkpoint.save_param_scheduler': check_bool,
    'log_processor.window_size': partial(check_whole, least=1),
    'randomness.seed': partial(check_whole, most=2**32 - 1, optional=True),
    'randomness.deterministic': check_bool,
    'randomness.diff_rank_seed': check_bool,
    'env_cfg': partial(check_keys, required=(), allowed=('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit')),
    'env_cfg.cudnn_benchmark': check_bool,
    'env_cfg.mp_cfg': partial(check_keys, required=(), allowed=('mp_start_method', 'opencv_num_threads')),
    'resume': check_bool,
}
# By the last key. The schedules' are used when the first epoch has ended.
_RULES_BELOW: dict[str, dict[str, _Rule]] = {
    'train_dataloader': dict(prob=_check_probability),
    'param_scheduler': dict(
        T_max=partial(check_whole, least=1, optional=True),
        **dict.fromkeys(('begin', 'end', 'step_size'), partial(check_whole, optional=True)),
        **dict.fromkeys(('eta_min', 'eta_min_ratio', 'gamma', 'start_factor', 'end_factor', 'power', 'factor'),
                        partial(check_number, optional=True))),
}


def check_config(cfg: Config) -> None:
    """Check a training's settings, and that what they need is installed, before anything is built."""
    for name in cfg:
        if name not in KNOWN_KEYS and (near := suggestion(name, KNOWN_KEYS, likeness=0.85)):
            raise ConfigError(f'The config has {name}, which nothing reads{near}: correct it, or give it another name.')
    for name in _NEEDED:
        if cfg.get(name) is None:
            raise ConfigError(f'The config lacks {name}: set it, or inherit from one of the configs below configs/.')
    parts = dict(dicts_below(dict(cfg.items())))  # a Config is no Mapping itself
    for path, part in parts.items():
        for key, value in part.items():
            name = f'{path}.{key}' if path else key
            rule = _RULES.get(name) or _RULES_BELOW.get(name.partition('.')[0], {}).get(key)
            if rule is not None:
                rule(name, value)
    if cfg.get('default_scope') == 'mmdet':
        check_detection_packages()
    _check_optimizer(cfg.optim_wrapper)
    _check_loader(cfg)
    _check_epochs(cfg)
    preprocessor = parts.get('model.data_preprocessor', {}).get('type')
    is_deferred = any(part.get('on_device') is True for path, part in parts.items() if path.startswith(_LOADERS[0]))
    if is_deferred and preprocessor not in ('DeviceViews', 'clim_mm.DeviceViews'):
        raise ConfigError('MultiRes with on_device=True sends views that are not finished: set '
                          f'model.data_preprocessor.type to "DeviceViews" instead of {preprocessor!r}, or leave out '
                          'on_device.')


def check_detection_packages(lvis: bool = False) -> None:
    """Check that MMDetection, which is not imported yet, can run here, and evaluate on LVIS if ``lvis``."""
    if find_spec('mmcv._ext') is None:
        raise MissingDependencyError('MMDetection needs mmcv\'s compiled operators, and the installed mmcv has none: '
                                     '`bash tools/setup_det.sh` builds them (5 to 20 minutes on 2 cores).')
    for module, package in _DETECTION_PACKAGES.items():
        if find_spec(module) is None and (lvis or module != 'lvis'):
            raise MissingDependencyError(f'{package} is missing: `bash tools/setup_det.sh` installs what detection '
                                         'needs, or `pip install -r requirements/det.txt`.')


def _check_optimizer(wrapper: Mapping) -> None:
    if not any(isinstance(part, Mapping) for part in wrapper.values()):  # there may be several, by names of their own
        raise ConfigError('optim_wrapper lacks \'optimizer\': set it to a dict such as dict(type="SGD", lr=0.06).')
    optimizer = wrapper.get('optimizer', {})
    if optimizer.get('type') in _OPTIMIZERS_WITH_LR and 'lr' not in optimizer:
        raise ConfigError('optim_wrapper.optimizer lacks \'lr\', and torch would take 0.001: set it.')


def _check_loader(cfg: Config) -> None:
    loader = cfg.train_dataloader
    for name in ('dataset', 'sampler'):
        if name not in loader:
            raise ConfigError(f'train_dataloader lacks {name!r}: set it.')
    if 'batch_size' not in loader and 'batch_sampler' not in loader:
        raise ConfigError('train_dataloader lacks \'batch_size\', and torch would take 1: set it.')


def _check_epochs(cfg: Config) -> None:
    if not (cfg.train_cfg.get('by_epoch') or cfg.train_cfg.get('type') == 'EpochBasedTrainLoop'):
        return
    if cfg.train_dataloader.sampler.get('type') == 'InfiniteSampler':
        raise ConfigError('train_dataloader.sampler.type="InfiniteSampler" never ends an epoch: take "DefaultSampler", '
                          'or a loop by iterations.')
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if checkpoint.get('by_epoch') is False:
        raise ConfigError('default_hooks.checkpoint.by_epoch=False saves in the middle of epochs, from where the '
                          'training cannot go on as if undisturbed: set it to True, with interval in epochs.')
