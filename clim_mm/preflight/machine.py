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
    """Cores that this process may run on, and bytes; None where the machine does not tell, or has no GPU."""

    cores: int
    free_memory: Optional[int] = None
    free_disk: Optional[int] = None
    gpu: Optional[str] = None
    gpu_memory: Optional[int] = None


def this_machine(device: torch.device, checkpoints: str) -> Machine:
    """The machine, the model's device, and the disk of the folder ``checkpoints``, which need not exist yet."""
    group = '/sys/fs/cgroup/memory'
    on_gpu = device.type == 'cuda'
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1,
        free_memory=available_memory(*map(
            _text_of, ['/proc/meminfo', f'{group}.max', f'{group}.current', f'{group}.stat'])),
        free_disk=free_disk(checkpoints),
        gpu=torch.cuda.get_device_name(device) if on_gpu else None,
        gpu_memory=torch.cuda.get_device_properties(device).total_memory if on_gpu else None)


def available_memory(meminfo: str, limit: str = '', used: str = '', statistics: str = '') -> Optional[int]:
    """Available bytes by the texts of Linux's ``meminfo`` and of a control group's ``memory.max, .current, .stat``."""
    amounts = [int(kib) * 1024 for kib in re.findall(r'^MemAvailable:\s+(\d+) kB', meminfo, re.MULTILINE)]
    if limit.strip().isdigit() and used.strip().isdigit():
        # The page cache counts as used, but gives way.
        cached = sum(int(number) for number in re.findall(r'^inactive_file (\d+)', statistics, re.MULTILINE))
        amounts.append(max(0, int(limit) - int(used) + cached))
    return min(amounts, default=None)


def free_disk(folder: str) -> Optional[int]:
    """Bytes free where ``folder`` is or will be; None if it is no local folder."""
    if '://' in folder or folder.startswith('s3:'):
        return None
    path = Path(folder).absolute()
    return shutil.disk_usage(next(parent for parent in (path, *path.parents) if parent.is_dir())).free


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ''
