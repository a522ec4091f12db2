"""The most memory that a piece of work takes beside what stood before it."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import torch

_STATUS, _RESET = Path('/proc/self/status'), Path('/proc/self/clear_refs')


def peak_bytes_of(run: Callable[[], object], device: torch.device) -> Optional[int]:
    """Bytes above those before ``run``: allocated on a GPU, else resident in this process.

    None on systems that do not tell a process's peak, or cannot begin it anew, as Linux with glibc does.
    """
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what is freed, and it would count as there before
        _RESET.write_text('5')  # VmHWM begins anew, see proc(5)
        before = _resident('VmRSS')
    except (OSError, AttributeError):
        return None
    run()
    return _resident('VmHWM') - before


def _resident(name: str) -> int:
    found = re.search(rf'{name}:\s+(\d+) kB', _STATUS.read_text())
    if found is None:
        raise OSError(f'{_STATUS} does not tell {name}')
    return int(found[1]) * 1024
