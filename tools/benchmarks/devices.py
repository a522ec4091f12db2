"""What a benchmark computes on, and the clock that waits for it."""

import time
from collections.abc import Callable
from typing import Optional

import torch

from clim_mm.errors import ConfigError


def device_of(name: Optional[str]) -> torch.device:
    """The device that is meant.

    Raises:
        ConfigError: If torch does not know it, or it is not there.
    """
    name = name or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f'--device {name} cannot be used here: give cpu, or cuda on a machine with a GPU.') from error
    return device


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds of the clock, once all that a GPU was given is done."""
    def clock() -> float:
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock
