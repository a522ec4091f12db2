"""Whether what a checkpoint holds can be what a training has saved."""

import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from clim_mm.errors import some_of

_KINDS: dict[str, Any] = dict(meta=Mapping, optimizer=Mapping, message_hub=Mapping, param_schedulers=(list, Mapping))


def oddities(checkpoint: Mapping[str, Any], schedules: int) -> list[str]:
    """What a run that goes on from a checkpoint would stumble over, sooner or later, in a few words each.

    Args:
        checkpoint: What its file holds, of which all parts of MMEngine's are there.
        schedules: Parameter schedulers of the run.
    """
    found = [f'{part} is a {type(checkpoint[part]).__name__}' for part, kind in _KINDS.items()
             if part in checkpoint and not isinstance(checkpoint[part], kind)]
    if found:
        return found
    meta = checkpoint['meta']
    found += [f'meta.{name} is {reprlib.repr(meta[name])}' for name in ('epoch', 'iter', 'seed')
              if not _is_count(meta.get(name, 0)) and not (name == 'seed' and meta[name] is None)]
    saved = len(checkpoint.get('param_schedulers', ()))
    found += [f'it has {saved} parameter schedulers instead of {schedules}'] * (saved != schedules > 0)
    state = checkpoint['optimizer'].get('state')
    return found + ([] if state is None else not_finite('optimizer', state))


def not_finite(name: str, values: Any) -> list[str]:
    """The tensors below ``values`` that hold NaN or infinity, in a few words if there are any."""
    broken = [path for path, tensor in _tensors(values)
              if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    return [f'{len(broken)} tensors of its {name} hold NaN or infinity: {some_of(broken, 3)}'] if broken else []


def _tensors(value: Any, path: str = '') -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f'{path}.{key}' if path else str(key))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
