"""What the machine has for a training."""

from pathlib import Path
from typing import Optional

import torch

from clim_mm.checks import check_whole
from clim_mm.errors import ConfigError

_FLAG = 'amx_bf16'  # with less, a CPU computes no faster in bfloat16


def usable_gpus(wanted: Optional[int] = None) -> int:
    """How many GPUs train: as many as are wanted, or all; 0 without any."""
    check_whole('--gpus', wanted, optional=True)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted is not None and wanted > there:
        raise ConfigError(f'--gpus {wanted}: torch sees {there} here: give {there}, or put the driver right.')
    return there if wanted is None else wanted


def computes_in_bf16(gpus: int, cpuinfo: str = '/proc/cpuinfo') -> bool:
    """Whether bfloat16 is fast here: on the GPUs, or else on the CPU."""
    if gpus:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    path = Path(cpuinfo)
    return path.is_file() and _FLAG in path.read_text().split()
