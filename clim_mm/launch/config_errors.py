"""What MMEngine, torch and others raise until the first step of a training, in a sentence that names the setting."""

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Optional

import torch
from mmengine.hooks import Hook
from mmengine.registry import Registry, build_from_cfg
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from clim_mm.causes import cause_of
from clim_mm.checks import suggestion
from clim_mm.errors import on_one_line

# The Runner's methods that make a part of the training: the setting that they make it from, and who takes its keys.
_MADE_FROM: dict[str, tuple[str, Any]] = dict(
    build_dataloader=('train_dataloader', DataLoader), build_train_loop=('train_cfg', None),
    build_optim_wrapper=('optim_wrapper', None), build_param_scheduler=('param_scheduler', None),
    _check_scheduler_cfg=('param_scheduler', None), build_model=('model', None), build_logger=('log_level', None),
    set_randomness=('randomness', Runner.set_randomness), setup_env=('env_cfg', None),
    build_log_processor=('log_processor', None), build_visualizer=('visualizer', None),
    register_default_hooks=('default_hooks', None), register_custom_hooks=('custom_hooks', None),
    wrap_model=('model_wrapper_cfg', None), scale_lr=('auto_scale_lr', None))
_UNKNOWN = re.compile(r'unexpected keyword argument \'(\w+)\'')
_MISSING = re.compile(r'missing \d+ required (?:positional|keyword-only) arguments?: (.+)')


@dataclass(frozen=True)
class _Part:
    """Of a training: where its settings are, its class if that was found, and what it knows: settings, or classes."""

    place: str
    made_by: str = ''
    known: Sequence[str] = ()
    wanted_type: Any = None
    fails: bool = False  # at its work

    @property
    def name(self) -> str:
        return f'{self.place} ({self.made_by})' if self.made_by else self.place


def explain(error: BaseException) -> Optional[str]:
    """A sentence on an error of others: the cause, if the machine is it, or what a training could not be made of.

    MMEngine builds a training part by part from the config; its frames in the traceback tell which part it was. Only
    where the cause is known the sentence tells what to do.

    Args:
        error: As it was caught.

    Returns:
        The sentence; None if the error is none of the machine's, and came when the first step was done, or from
        elsewhere.
    """
    if cause := cause_of(error):
        return cause.sentence
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    cfg = next((found for found in map(_config, frames) if found is not None), None)
    loading = any(frame.f_code is Runner.load_or_resume.__code__ for frame in frames)
    if cfg is None or (_has_begun(frames) and not loading):
        return None
    text = f'{type(error).__name__}: {on_one_line(error)}'
    if loading:
        return (f'The checkpoint {cfg.get("load_from")} cannot be taken up ({text}): give one that a training with '
                'this config has saved.')
    part = _blamed(frames, cfg, text)
    if part.wanted_type is not None:
        return (f'{part.place}.type={part.wanted_type!r} names nothing that is registered'
                f'{suggestion(part.wanted_type, part.known)}: correct it.')
    if part.fails:
        return f'{part.name} fails ({text}).'
    if '"type"' in text:
        return f'{part.place} lacks \'type\', the name of a class: set it.'
    if unknown := _UNKNOWN.search(str(error)):
        return (f'{part.name} has no setting {unknown[1]!r}{suggestion(unknown[1], part.known)}: correct it, or leave '
                'it out.')
    if missing := _MISSING.search(str(error)):
        return f'{part.name} lacks {missing[1]}: set it.'
    return f'{part.name} cannot be set up ({text}).'


def _config(frame: FrameType) -> Optional[Mapping]:
    """The whole config, in a frame of the two methods that make a training and start it."""
    if frame.f_code is Runner.from_cfg.__func__.__code__:  # type: ignore[attr-defined]
        return dict(frame.f_locals['cfg'].items())  # a Config is no Mapping itself
    return dict(frame.f_locals['self'].cfg.items()) if frame.f_code is Runner.train.__code__ else None


def _has_begun(frames: Sequence[FrameType]) -> bool:
    loops = [frame.f_locals['self'] for frame in frames
             if frame.f_code.co_name == 'run' and isinstance(frame.f_locals.get('self'), BaseLoop)]
    return any(loop.iter > 0 for loop in loops)


def _blamed(frames: Sequence[FrameType], cfg: Mapping, text: str) -> _Part:
    """The innermost part that was about to be made; ``text`` names the one whose arguments did not fit."""
    called = re.search(r'Runner\.(\w+)\(\)', text)
    methods = [frame.f_code.co_name for frame in frames if frame.f_code.co_filename == inspect.getfile(Runner)]
    methods = [name for name in [*methods, *(called.groups() if called else ())] if name in _MADE_FROM]
    place, taker = _MADE_FROM[methods[-1]] if methods else ('The training', None)
    loaders = [frame.f_locals['dataloader'] for frame in frames if frame.f_code is Runner.build_dataloader.__code__]
    if loaders and taker is DataLoader:  # or that of validation or test
        place = _path(loaders[-1], cfg) or place
    makers = [frame for frame in frames if frame.f_code.co_name in methods or frame.f_code is build_from_cfg.__code__]
    if called or not makers or makers[-1].f_code is not build_from_cfg.__code__:
        return (None if methods else _failed(frames, cfg)) or _Part(place, known=_parameters(taker) if taker else ())
    names = makers[-1].f_locals
    place = _path(names['cfg'], cfg) or place
    if names.get('obj_cls') is not None:
        return _Part(place, names['obj_cls'].__name__, _parameters(names['obj_cls']))
    return _Part(place, known=[*registered_names(names['registry'])], wanted_type=names.get('obj_type'))


def _failed(frames: Sequence[FrameType], cfg: Mapping) -> Optional[_Part]:
    """The innermost part that was made, and has failed at its work."""
    owners = [type(frame.f_locals['self']).__name__ for frame in frames
              if isinstance(frame.f_locals.get('self'), (torch.nn.Module, Hook))]
    types = [(str(part.get('type')).rpartition('.')[2], path) for path, part in dicts_below(cfg)]
    return next((_Part(path, owner, fails=True) for owner in reversed(owners) for name, path in types
                 if name == owner), None)


def _parameters(made_by: Any) -> list[str]:
    """The settings of a class, with those that it hands on to its bases, or of a function."""
    functions = [vars(base).get('__init__') for base in made_by.__mro__] if inspect.isclass(made_by) else [made_by]
    return [name for function in functions if inspect.isfunction(function)
            for name in inspect.signature(function).parameters if name != 'self']


def registered_names(registry: Registry) -> Iterator[str]:
    """The names that a config may give there."""
    above: Optional[Registry] = registry
    while above is not None:
        yield from above.module_dict
        above = above.parent


def _path(part: Any, whole: Mapping) -> Optional[str]:
    """The dotted key of ``part`` in the config, or else of what has the same type."""
    places = list(dicts_below(whole))
    same = [path for path, value in places if value == part]
    alike = [path for path, value in places if isinstance(part, Mapping) and value.get('type') == part.get('type')]
    return next(iter([*same, *alike]), None)


def dicts_below(value: Any, path: str = '') -> Iterator[tuple[str, Mapping]]:
    """All dicts in nested settings, with their dotted keys."""
    if isinstance(value, Mapping):
        yield path, value
        items: Any = value.items()
    else:
        items = enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, inner in items:
        yield from dicts_below(inner, f'{path}.{key}' if path else str(key))
