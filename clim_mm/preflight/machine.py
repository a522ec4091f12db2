"""What this machine has left: cores, memory, disk, GPU."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import torch


@dataclass(frozen=True)
class Machine:
    """Bytes, and None where the machine does not tell.

    Attributes:
        cores: That this process may run on.
        free_memory: Host memory that is available.
        free_disk: Where the checkpoints go.
        gpu: Its name, or None if the model is on the CPU.
        gpu_memory: All of the GPU's memory.
    """

    cores: int
    free_memory: Optional[int] = None
    free_disk: Optional[int] = None
    gpu: Optional[str] = None
    gpu_memory: Optional[int] = None


def this_machine(device: torch.device, checkpoints: str) -> Machine:
    """Look at the machine.

    Args:
        device: Where the model is.
        checkpoints: The folder they go to, which need not exist yet.
    """
    on_gpu = device.type == 'cuda'
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1,
        free_memory=available_memory(
            meminfo=_text_of('/proc/meminfo'),
            limit=_text_of('/sys/fs/cgroup/memory.max'),
            used=_text_of('/sys/fs/cgroup/memory.current'),
            statistics=_text_of('/sys/fs/cgroup/memory.stat')),
        free_disk=free_disk(checkpoints),
        gpu=torch.cuda.get_device_name(device) if on_gpu else None,
        gpu_memory=torch.cuda.get_device_properties(device).total_memory if on_gpu else None)


def available_memory(meminfo: str, limit: str = '', used: str = '', statistics: str = '') -> Optional[int]:
    """Bytes that new work can have, by Linux's files; a container's limit counts too.

    Args:
        meminfo: Text of ``/proc/meminfo``.
        limit, used, statistics: Texts of the control group's ``memory.max``, ``.current`` and ``.stat``.
    """
    amounts = [int(kib) * 1024 for kib in re.findall(r'^MemAvailable:\s+(\d+) kB', meminfo, re.MULTILINE)]
    if limit.strip().isdigit() and used.strip().isdigit():
        # What was only read from files counts as used, but gives way to new work.
        cached = sum(int(number) for number in re.findall(r'^inactive_file (\d+)', statistics, re.MULTILINE))
        amounts.append(max(0, int(limit) - int(used) + cached))
    return min(amounts, default=None)


def free_disk(folder: str) -> Optional[int]:
    """Bytes free where ``folder`` is or will be; None if it is no local folder."""
    if '://' in folder or folder.startswith('s3:'):
        return None
    path = Path(folder).absolute()
    there = next(parent for parent in (path, *path.parents) if parent.is_dir())
    return shutil.disk_usage(there).free


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ''
