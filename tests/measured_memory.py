"""The most memory that work takes, measured in the processes of ``gloo.on_processes``, where nothing else happens."""

import ctypes
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import torch

_PEAK_MEMORY = Path(__file__).parents[1] / 'tools' / 'benchmarks' / 'peak_memory.py'
_M_MMAP_THRESHOLD = -3  # of malloc.h


def peak_bytes_of(run: Callable[[], object]) -> Optional[int]:
    """Bytes above those before ``run``, which should have run on something small; None where the system does not tell.

    Call it where the process ends afterwards: from now on it gives all memory back at once.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**16)  # else gaps between blocks would count
    except AttributeError:
        return None
    return runpy.run_path(str(_PEAK_MEMORY))['peak_bytes_of'](run, torch.device('cpu'))
