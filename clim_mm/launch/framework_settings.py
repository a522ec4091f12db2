"""Settings of the parts that others have made, which do not look at them, or only when hours have passed."""

import inspect
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from numbers import Real
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import FUNCTIONS, OPTIMIZERS, Registry
from mmengine.runner import Runner

from clim_mm.checks import MOST_WORKERS, check_bool, check_keys, check_list, check_number, check_whole, suggestion
from clim_mm.errors import ConfigError

from .config_errors import dicts_below, registered_names
from .detection_packages import check_scope

# What a Runner takes from a config, or looks up in it.
KNOWN_KEYS = (*(name for name in inspect.signature(Runner).parameters if name != 'cfg'), 'compile', 'custom_imports',
              'model_wrapper_cfg', 'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval',
              'sync_bn', 'runner_type')
_NEEDED = ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
_DICTS = (*_NEEDED, 'train_dataloader.dataset', 'train_dataloader.sampler', 'default_hooks', 'optim_wrapper.optimizer')
_OPTIMIZERS_WITH_LR = ('SGD', 'Adam', 'AdamW', 'LARS')  # torch's own default fits no training
# They are used when the first epoch has ended.
_SCHEDULE_COUNTS = ('T_max', 'begin', 'end', 'step_size')
_SCHEDULE_NUMBERS = ('eta_min', 'eta_min_ratio', 'gamma', 'start_factor', 'end_factor', 'power', 'factor')


def _check_string(name: str, value: Any, optional: bool = False) -> None:
    if not isinstance(value, str) and not (value is None and optional):
        raise ConfigError(f'{name} must be a string{" or None" if optional else ""}, not {value!r}.')


def _check_clipping(name: str, value: Any) -> None:
    if value is not None:
        check_keys(name, value, (), ('type', 'max_norm', 'clip_value', 'norm_type', 'error_if_nonfinite', 'foreach'))


def _check_compile(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, bool):
        check_keys(name, value, (), [key for key in inspect.signature(torch.compile).parameters if key != 'model'])


def _check_numbers(name: str, value: Any, above: float) -> None:
    check_list(name, value)
    for number in value:
        check_number(f'each value of {name}', number, above=above)


def _check_interval(name: str, value: Any) -> None:
    check_whole(name, value, least=-1)
    if value == 0:
        raise ConfigError(f'{name} must be a whole number of at least 1, or -1 for never, not 0.')


_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_RULES_OF_LOADERS: dict[str, Callable[[str, Any], None]] = {
    'batch_size': partial(check_whole, least=1),
    'num_workers': partial(check_whole, most=MOST_WORKERS),
    'persistent_workers': check_bool,
    'pin_memory': check_bool,
    'drop_last': check_bool,
    'prefetch_factor': partial(check_whole, least=1, optional=True),
    'timeout': partial(check_number, least=0),
    'sampler.shuffle': check_bool,
}
# What a loader without workers cannot have, and the value that stands for none.
_OF_WORKERS = dict(persistent_workers=False, prefetch_factor=None, timeout=0, multiprocessing_context=None)
_RULES: dict[str, Callable[[str, Any], None]] = {
    **{f'{loader}.{key}': rule for loader in _LOADERS for key, rule in _RULES_OF_LOADERS.items()},
    'train_cfg.max_epochs': partial(check_whole, least=1),
    'optim_wrapper.accumulative_counts': partial(check_whole, least=1),
    'optim_wrapper.optimizer.lr': partial(check_number, above=0),
    'optim_wrapper.optimizer.momentum': partial(check_number, least=0, below=1),
    'optim_wrapper.optimizer.weight_decay': partial(check_number, least=0),
    'optim_wrapper.clip_grad': _check_clipping,
    'optim_wrapper.clip_grad.max_norm': partial(check_number, above=0),
    'model.data_preprocessor.mean': partial(_check_numbers, above=-math.inf),
    'model.data_preprocessor.std': partial(_check_numbers, above=0),
    'model.data_preprocessor.bgr_to_rgb': check_bool,
    'default_hooks.logger.interval': partial(check_whole, least=1),
    'default_hooks.checkpoint.interval': _check_interval,
    'default_hooks.checkpoint.max_keep_ckpts': partial(check_whole, least=-1),
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
    'compile': _check_compile,
    'resume': check_bool,
    'work_dir': _check_string,
    'default_scope': _check_string,
    'load_from': partial(_check_string, optional=True),
}


def check_settings(cfg: Config) -> None:
    """Check the settings of MMEngine's and torch's parts that they would take as they are.

    Args:
        cfg: Of a training, whoever's it is.

    Raises:
        ConfigError: If a value is of the wrong type or out of range, or a name looks like a slip of the pen.
        MissingDependencyError: If the config is MMDetection's, and mmcv has no compiled operators.
    """
    for name in cfg:
        if name not in KNOWN_KEYS and (near := suggestion(name, KNOWN_KEYS, likeness=0.85)):
            raise ConfigError(f'The config has {name}, which nothing reads{near}: correct it, or give it another name.')
    for name in _NEEDED:
        if cfg.get(name) is None:
            raise ConfigError(f'The config lacks {name}: set it, or inherit from one of the configs below configs/.')
    settings = dict(cfg.items())  # a Config is no Mapping itself
    for path in _DICTS:
        for value in _values(settings, path):
            if not isinstance(value, Mapping):
                raise ConfigError(f'{path} must be a dict, not {value!r}.')
    if not isinstance(settings.get('custom_hooks', []), (list, tuple, type(None))):
        raise ConfigError(f'custom_hooks must be a list, not {settings["custom_hooks"]!r}.')
    for path, check in _RULES.items():
        for value in _values(settings, path):
            check(path, value)
    check_scope(cfg.get('default_scope'))  # what follows imports its modules
    _check_loader(cfg.train_dataloader)
    for name in _LOADERS:
        _check_workers(name, cfg.get(name) or {})
    _check_epochs_end(cfg)
    _check_optimizer(cfg.optim_wrapper, cfg.get('default_scope'))
    _check_schedules(settings)
    _check_checkpoint_hook(settings)
    for path, part in dicts_below(dict(train_dataloader=cfg.train_dataloader)):
        if isinstance(part.get('prob'), Real):  # of a transform; some take a list
            check_number(f'{path}.prob', part['prob'], least=0, most=1)


def _check_loader(loader: Mapping) -> None:
    for name in ('dataset', 'sampler'):
        if name not in loader:
            raise ConfigError(f'train_dataloader lacks {name!r}: set it.')
    if 'batch_size' not in loader and 'batch_sampler' not in loader:
        raise ConfigError('train_dataloader lacks \'batch_size\', and torch would take 1: set it.')
    collate = loader.get('collate_fn', dict(type='pseudo_collate'))
    if isinstance(collate, Mapping):
        _check_type('train_dataloader.collate_fn', collate, FUNCTIONS, ('clim_mm.stack_collate', ))
    elif not callable(collate):
        raise ConfigError(f'train_dataloader.collate_fn must be a dict with its type, not {collate!r}.')


def _check_workers(name: str, loader: Mapping) -> None:
    """Check what torch refuses without the name of the loader, or only when the first batch is due."""
    for key, none in _OF_WORKERS.items():
        if not loader.get('num_workers') and loader.get(key, none) != none:
            raise ConfigError(f'{name}.{key}={loader[key]!r} needs workers, but {name}.num_workers is '
                              f'{loader.get("num_workers", 0)}: set {name}.{key}={none}, or num_workers to at least 1.')
    if loader.get('shuffle') and 'sampler' in loader:
        raise ConfigError(f'{name}.shuffle stands beside a sampler, which torch refuses: set {name}.sampler.shuffle '
                          'instead.')
    if loader.get('drop_last') and loader.get('batch_sampler') is not None:
        raise ConfigError(f'{name}.drop_last stands beside a batch_sampler, which torch refuses: set '
                          f'{name}.batch_sampler.drop_last instead.')


def _check_type(path: str, part: Mapping, registry: Registry, more: Collection[str] = ()) -> None:
    """Check the type of a part for which MMEngine takes whatever the registry gives, even None."""
    name = part.get('type')
    try:
        found = registry.get(name) if isinstance(name, str) else name
    except RuntimeError:  # MMEngine's, for a name that is no path of a module either
        found = None
    if not callable(found):
        raise ConfigError(f'{path}.type={name!r} names nothing that is registered'
                          f'{suggestion(name, [*registered_names(registry), *more])}: correct it.')


def _check_epochs_end(cfg: Config) -> None:
    sampler, loop = cfg.train_dataloader['sampler'].get('type'), cfg.train_cfg
    by_epoch = loop.get('by_epoch') or _is(loop.get('type'), 'EpochBasedTrainLoop')
    if by_epoch and _is(sampler, 'InfiniteSampler'):
        raise ConfigError('train_dataloader.sampler.type="InfiniteSampler" never ends an epoch: take "DefaultSampler", '
                          'or a loop by iterations.')


def _check_optimizer(wrapper: Mapping, scope: Optional[str]) -> None:
    if not any(isinstance(part, Mapping) for part in wrapper.values()):  # there may be several, by names of their own
        raise ConfigError('optim_wrapper lacks \'optimizer\': set it to a dict such as dict(type="SGD", lr=0.06).')
    optimizer = wrapper.get('optimizer', {})
    if 'optimizer' in wrapper:
        with OPTIMIZERS.switch_scope_and_registry(scope) as registry:
            _check_type('optim_wrapper.optimizer', optimizer, registry)
    if optimizer.get('type') in _OPTIMIZERS_WITH_LR and 'lr' not in optimizer:
        raise ConfigError('optim_wrapper.optimizer lacks \'lr\', and torch would take 0.001: set it.')


def _is(type_name: Any, name: str) -> bool:
    """Whether a config's ``type`` means ``name``, with or without a scope."""
    return isinstance(type_name, str) and type_name.rpartition('.')[2] == name


def _check_schedules(settings: Mapping) -> None:
    for path, schedule in dicts_below(dict(param_scheduler=settings.get('param_scheduler'))):
        for name, value in schedule.items():
            if name in _SCHEDULE_COUNTS:
                check_whole(f'{path}.{name}', value, least=1 if name == 'T_max' else 0, optional=True)
            elif name in _SCHEDULE_NUMBERS:
                check_number(f'{path}.{name}', value, optional=True)


def _check_checkpoint_hook(settings: Mapping) -> None:
    """It hands on what it does not know, when the first checkpoint is due."""
    taken = [name for function in (CheckpointHook, Runner.save_checkpoint)
             for name in inspect.signature(function).parameters if name not in ('self', 'kwargs')]
    hooks = {name: settings.get(name) for name in ('default_hooks', 'custom_hooks')}
    for path, hook in dicts_below(hooks):
        if _is(hook.get('type'), 'CheckpointHook'):
            check_keys(path, hook, required=(), allowed=('type', 'priority', '_scope_', *taken))


def _values(settings: Mapping, path: str) -> Iterator[Any]:
    """What a dotted key leads to, if it leads anywhere."""
    value: Any = settings
    for key in path.split('.'):
        if not isinstance(value, Mapping) or key not in value:
            return
        value = value[key]
    yield value
