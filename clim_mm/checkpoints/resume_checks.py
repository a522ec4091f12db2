"""Whether what a checkpoint holds can be what a training has saved, and an optimizer can go on from its state."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from torch.optim import Optimizer

from clim_mm.errors import ConfigError, on_one_line

from .weights import not_finite

_KINDS: dict[str, Any] = {
    'meta': Mapping, 'optimizer': Mapping, 'message_hub': Mapping, 'param_schedulers': (list, Mapping),
    'meta.epoch': int, 'meta.iter': int, 'meta.seed': (int, type(None)), 'message_hub.log_scalars': Mapping,
    'message_hub.runtime_info': Mapping}


def check_sound(oddities: Sequence[str], name: str) -> None:
    """Refuse a checkpoint that no training has saved like this; ``oddities`` say why, in a few words each."""
    if oddities:
        raise ConfigError(f'The {name} is not as a training saves it ({"; ".join(oddities[:3])}'
                          f'{"; ..." if len(oddities) > 3 else ""}): give another, such as the one before it.')


def oddities(checkpoint: Mapping[str, Any]) -> list[str]:
    """What a run that goes on from a checkpoint of all MMEngine's parts would stumble over, in a few words each."""
    for place, kind in _KINDS.items():
        part, _, key = place.partition('.')
        holder, name = (checkpoint.get(part, {}), key) if key else (checkpoint, part)
        if name in holder and (not isinstance(holder[name], kind) or isinstance(holder[name], bool)):
            return [f'{place} is a {type(holder[name]).__name__}']
    meta, hub = checkpoint['meta'], checkpoint.get('message_hub', {})
    found = [] if 0 <= (meta.get('seed') or 0) < 2**32 else [f'meta.seed is {meta["seed"]}']
    found += [f'message_hub.log_scalars.{name} is no history of numbers'
              for name, history in hub.get('log_scalars', {}).items()
              if isinstance(history, HistoryBuffer) and history.data[0].dtype.kind not in 'biuf']
    began = {name: hub.get('runtime_info', {}).get(name) for name in ('epoch', 'iter')}  # the last one
    found += [f'meta.{name} is {meta[name]}, and the last one that began is {number}' for name, number in began.items()
              if isinstance(number, int) and name in meta and meta[name] - number not in (0, 1)]
    state = checkpoint['optimizer'].get('state')
    return found + ([] if state is None else not_finite('optimizer', state))


def state_misfits(optimizer: Optimizer, groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any]) -> list[str]:
    """What an optimizer would stumble over at its first step, in a few words each.

    Each weight's state is tried in a step of its own, of a weight of ones with gradients of ones.

    Args:
        groups: Of the checkpoint, with the settings that are to be in force.
        state: Of the checkpoint: for each number in ``params`` of ``groups`` what the optimizer keeps of that weight.
    """
    weights = [(number, weight, group) for group, own in zip(groups, optimizer.param_groups, strict=True)
               for number, weight in zip(group['params'], own['params'], strict=True)]
    found = []
    if strange := set(state) - {number for number, _, _ in weights}:
        found.append(f'its optimizer has a state of {len(strange)} weights that are not there')
    for number, weight, group in weights:
        error = _error_of_step(optimizer, group, weight, state[number]) if number in state else ''
        if error and not _error_of_step(optimizer, group, weight, {}):  # the state is to blame
            found.append(f'its optimizer\'s state of weight {number}, of shape {tuple(weight.shape)}, fits no step of '
                         f'{type(optimizer).__name__} ({error})')
    return found


def keeps_state(optimizer: Optimizer, group: Mapping[str, Any]) -> bool:
    """Whether an optimizer with a group's settings keeps anything of a weight from step to step."""
    try:
        return any(_stepped(optimizer, group, torch.ones(1), {}).state.values())
    except Exception:  # of an optimizer of anybody's
        return False


def _error_of_step(optimizer: Optimizer, group: Mapping[str, Any], weight: torch.Tensor, state: Any) -> str:
    try:
        _stepped(optimizer, group, weight, state)
    except Exception as error:
        return f'{type(error).__name__}: {on_one_line(error)}'
    return ''


def _stepped(optimizer: Optimizer, group: Mapping[str, Any], weight: torch.Tensor, state: Any) -> Optimizer:
    """An optimizer of the same kind, of one weight alone, after a step."""
    ones = torch.nn.Parameter(torch.ones_like(weight, requires_grad=False))
    ones.grad = torch.ones_like(ones)
    twin = object.__new__(type(optimizer))  # a copy would lose what a class has beside torch's attributes
    vars(twin).update(vars(optimizer), param_groups=[dict(group, params=[ones])], state={})
    twin.load_state_dict(dict(
        state={0: copy.deepcopy(state)} if state else {}, param_groups=[dict(group, params=[0])]))
    type(optimizer).step(twin)
    return twin
