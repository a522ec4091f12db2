"""Whether an optimizer can go on from the state in a checkpoint."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from clim_mm.errors import on_one_line


def state_misfits(optimizer: Optimizer, groups: Sequence[Mapping[str, Any]], state: Mapping[Any, Any]) -> list[str]:
    """What an optimizer would stumble over at its first step, in a few words each.

    Each weight's state is tried in a step of its own, of a weight of ones with gradients of ones.

    Args:
        optimizer: That is to go on; it is left as it is.
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
    """What goes wrong in a step of one weight; empty if nothing does."""
    try:
        _stepped(optimizer, group, weight, state)
    except Exception as error:  # as above
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
