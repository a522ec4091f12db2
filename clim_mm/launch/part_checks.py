"""Whether the parts that a config names are there, and take the settings that it gives them."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from mmengine import registry as registries
from mmengine.hooks import CheckpointHook
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from clim_mm.checks import suggestion
from clim_mm.config_file import dicts_below
from clim_mm.errors import ConfigError

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# By where a part is in the config: its registry, what it is given besides (None if that is not known), and which of the
# settings there it never sees.
_PLACES: dict[str, tuple[Registry, Optional[tuple[str, ...]], tuple[str, ...]]] = {
    'model': (registries.MODELS, (), ()),
    **{f'{loader}.dataset': (registries.DATASETS, (), ()) for loader in _LOADERS},
    **{f'{loader}.sampler': (registries.DATA_SAMPLERS, ('dataset', 'seed'), ()) for loader in _LOADERS},
    **{f'{loader}.batch_sampler': (registries.DATA_SAMPLERS, ('sampler', 'batch_size'), ()) for loader in _LOADERS},
    **{f'{loader}.collate_fn': (registries.FUNCTIONS, None, ()) for loader in _LOADERS},
    'optim_wrapper.optimizer': (registries.OPTIMIZERS, ('params', ), ()),
    'param_scheduler': (registries.PARAM_SCHEDULERS, ('optimizer', ), ('convert_to_iter_based', )),
    'param_scheduler.*': (registries.PARAM_SCHEDULERS, ('optimizer', ), ('convert_to_iter_based', )),
    'train_cfg': (registries.LOOPS, ('runner', 'dataloader'), ()),
    'default_hooks.*': (registries.HOOKS, (), ('priority', )),
    'custom_hooks.*': (registries.HOOKS, (), ('priority', )),
}
# What is inside of these is built by a part, which may give it more.
_INNER = {
    'model': (registries.MODELS, registries.TASK_UTILS),
    **dict.fromkeys(_LOADERS, (registries.TRANSFORMS, registries.DATASETS)),
}
_MODULES = ('model.backbone', 'model.neck', 'model.head')  # whoever builds them finds them in MODELS


def check_parts(settings: Mapping[str, Any]) -> None:
    """Check types and keywords of the parts that MMEngine builds, before it builds any.

    A part is left to MMEngine where it cannot be known who builds it, and a class that takes any keyword is not asked.

    Args:
        settings: Those of a training.

    Raises:
        ConfigError: If a type is not registered, or its class has no such keyword, or needs one that is not there.
    """
    scope = settings.get('default_scope')
    for section, value in settings.items():
        for path, part in dicts_below({section: value}):
            place = _PLACES.get(path) or (_PLACES.get(f'{section}.*') if path.count('.') == 1 else None)
            if place is not None:
                registry, given, unseen = place
                if 'type' in part or path != 'train_cfg':  # which has by_epoch instead
                    made_by = _class_of(path, part, registry, part.get('_scope_') or scope)
                    if section != 'optim_wrapper' or 'constructor' not in value:  # which may take some for itself
                        _check_keywords(path, part, made_by, given, unseen)
            elif section in _INNER and isinstance(part.get('type'), str) and not _is_special(path, settings):
                _check_inner(path, part, _INNER[section], part.get('_scope_') or scope)
    for loader in _LOADERS:
        if isinstance(settings.get(loader), Mapping):
            _check_known(loader, settings[loader], [*_parameters(DataLoader), 'num_batch_per_epoch'])
    if isinstance(settings.get('randomness'), Mapping):
        _check_known('randomness', settings['randomness'], _parameters(Runner.set_randomness))


def _is_special(path: str, settings: Mapping[str, Any]) -> bool:
    """Whether the part goes to a builder that has names and keywords of its own, as ``norm_cfg`` does."""
    owner: Any = settings
    for key in path.split('.'):
        if key.endswith('cfg') or (isinstance(owner, Mapping) and owner.get('type') == 'Albu'):
            return True
        owner = owner[int(key) if isinstance(owner, (list, tuple)) else key]
    return False


def _class_of(path: str, part: Mapping, registry: Registry, scope: Optional[str]) -> Any:
    if 'type' not in part:
        raise ConfigError(f'{path} lacks \'type\', the name of a class: set it.')
    name = part['type']
    found = _registered(name, registry, scope) if isinstance(name, str) else name
    if not callable(found):
        raise ConfigError(f'{path}.type={name!r} names nothing that is registered'
                          f'{suggestion(name, [*_names(registry, scope)])}: correct it.')
    return found


def _check_inner(path: str, part: Mapping, candidates: tuple[Registry, ...], scope: Optional[str]) -> None:
    """Check a part that is built by another one, which may have registries and arguments of its own."""
    found = next(filter(None, (_registered(part['type'], registry, scope) for registry in candidates)), None)
    if found is not None:
        _check_keywords(path, part, found, given=None)
        return
    near = suggestion(part['type'], [*_names(candidates[0], scope)], likeness=0.8)
    if near or path in _MODULES:
        raise ConfigError(f'{path}.type={part["type"]!r} names nothing that is registered{near}: correct it.')


def _check_keywords(path: str, part: Mapping, made_by: Any, given: Optional[tuple[str, ...]],
                    unseen: tuple[str, ...] = ()) -> None:
    """Check the keywords of a part; for those that are missing only where it is known what is ``given`` besides."""
    name = f'{path} ({getattr(made_by, "__name__", made_by)})'
    try:
        parameters = inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):  # compiled code has none
        return
    known = [parameter.name for parameter in parameters]
    if made_by is CheckpointHook:  # it hands on what it does not know, when the first checkpoint is due
        known += _parameters(Runner.save_checkpoint)
    elif any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        known += [*part]
    _check_known(name, part, [*known, *unseen, 'type', '_scope_'], [*known])
    missing = [parameter.name for parameter in parameters if parameter.default is parameter.empty
               and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
               and parameter.name not in (*part, *(given or ()))]
    if missing and given is not None:
        raise ConfigError(f'{name} lacks {" and ".join(map(repr, missing))}: set it.')


def _check_known(name: str, part: Mapping, known: list[str], offered: Optional[list[str]] = None) -> None:
    for key in part:
        if key not in known:
            raise ConfigError(f'{name} has no setting {key!r}{suggestion(key, offered or known)}: correct it, or leave '
                              'it out.')


def _parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ('self', 'kwargs')]


def _registered(name: str, registry: Registry, scope: Optional[str]) -> Any:
    with registry.switch_scope_and_registry(scope) as found_in:
        try:
            return found_in.get(name)
        except RuntimeError:  # MMEngine's, for a name that is no path of a module either
            return None


def _names(registry: Registry, scope: Optional[str]) -> Iterator[str]:
    """The names that a config may give there, with and without a scope."""
    with registry.switch_scope_and_registry(scope) as found_in:
        above: Optional[Registry] = found_in
        while above is not None:
            yield from above.module_dict
            above = above.parent
    for child in registry.children.values():
        yield from (f'{child.scope}.{name}' for name in child.module_dict)
