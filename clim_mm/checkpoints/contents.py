"""Whether what a checkpoint holds can be what a training has saved."""

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from clim_mm.errors import ConfigError, some_of

_KINDS: dict[str, Any] = dict(meta=Mapping, optimizer=Mapping, message_hub=Mapping, param_schedulers=(list, Mapping))
_COUNTS = dict(epoch=math.inf, iter=math.inf, seed=2**32 - 1)


def check_sound(oddities: Sequence[str], name: str) -> None:
    """Refuse a checkpoint that no training has saved like this.

    Args:
        oddities: What is odd about it, in a few words each.
        name: By which the sentence calls it.

    Raises:
        ConfigError: If there are any.
    """
    if oddities:
        raise ConfigError(f'The {name} is not as a training saves it ({"; ".join(oddities[:3])}'
                          f'{"; ..." if len(oddities) > 3 else ""}): give another, such as the one before it.')


def oddities(checkpoint: Mapping[str, Any]) -> list[str]:
    """What a run that goes on from a checkpoint would stumble over, sooner or later, in a few words each.

    Args:
        checkpoint: What its file holds, of which all parts of MMEngine's are there.
    """
    found = [f'{part} is a {type(checkpoint[part]).__name__}' for part, kind in _KINDS.items()
             if part in checkpoint and not isinstance(checkpoint[part], kind)]
    if found:
        return found
    meta = checkpoint['meta']
    found += [f'meta.{name} is {reprlib.repr(meta[name])}' for name, most in _COUNTS.items()
              if not _is_count(meta.get(name, 0), most) and not (name == 'seed' and meta[name] is None)]
    hub = checkpoint.get('message_hub', {})
    found += [f'message_hub.{part} is a {type(hub[part]).__name__}' for part in ('log_scalars', 'runtime_info')
              if not isinstance(hub.get(part, {}), Mapping)]
    if found:
        return found
    found += [f'message_hub.log_scalars.{name} is no history of numbers'
              for name, history in hub.get('log_scalars', {}).items()
              if isinstance(history, HistoryBuffer) and history.data[0].dtype.kind not in 'biuf']
    began = {name: hub.get('runtime_info', {}).get(name) for name in ('epoch', 'iter')}  # the last one
    found += [f'meta.{name} is {meta[name]}, and the last one that began is {number}' for name, number in began.items()
              if _is_count(number, math.inf) and name in meta and meta[name] - number not in (0, 1)]
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


def _is_count(value: Any, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
