"""What a training will take, and what the machine has: bytes and seconds."""

import math
import re
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Optional

import torch

from clim_mm.distributed.gather_by_id import gathering_bytes
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import available_cores, feature_bytes
from clim_mm.neighbors.key_bank import bank_bytes
from clim_mm.neighbors.refresh_cost import SearchSpeed, kmeans_flops, refresh_bytes, search_flops

from .measure import Measurements
from .settings import RefreshSettings, Settings


@dataclass(frozen=True)
class RefreshForecast:
    """Bytes and seconds of one refresh."""

    host_bytes: int  # the most that the processes on this machine, the first among them, hold meanwhile
    extract: float  # 0 from a bank of keys, whose first refresh is left out
    search: float  # with the clustering
    seconds: float  # in all
    share: Optional[float]  # of the training's time that goes into refreshes, if that was measured


@dataclass(frozen=True)
class Forecast:
    """Bytes and seconds of the training; None for what was not measured."""

    compute: Optional[float]  # of the model, on a process's batch
    load: Optional[float]  # in which the workers of a process load a batch
    step: Optional[float]  # both
    epoch: Optional[float]  # without refreshes
    training: Optional[float]  # from the start epoch to the end, with refreshes
    activation_bytes: Optional[int]  # of a process, where a GPU tells
    training_bytes: int  # on the model's device: model, gradients, optimizer, activations
    checkpoint_bytes: int
    disk_bytes: int  # of all checkpoints that lie beside each other at most, and of a bank of keys
    refresh: Optional[RefreshForecast]


def forecast(settings: Settings, measured: Measurements, cores: int) -> Forecast:
    """Work it out for a machine of so many cores."""
    compute = load = step = epoch = activations = training = None
    cores_of_process = cores / settings.local_processes
    if measured.load is not None:
        load = measured.load * settings.batch_size / max(1, settings.num_workers)
    if measured.compute is not None and measured.load is not None:
        compute = measured.compute * settings.batch_size
        step = pipelined_seconds(compute, measured.load * settings.batch_size, settings.num_workers, cores_of_process,
                                 measured.busy_cores)
        epoch = settings.steps * step
    if measured.activation_bytes is not None:
        activations = round(measured.activation_bytes * settings.batch_size)
    epochs = settings.max_epochs - settings.start_epoch
    checkpoint, bank = settings.model_bytes + measured.optimizer_bytes, 0
    refresh = None
    if settings.refresh is not None and measured.search is not None:
        refresh = _refresh(settings, settings.refresh, measured, measured.search, cores_of_process, epoch)
        checkpoint += NeighborTable.bytes_of(settings.num_images, settings.refresh.num_positives)
        checkpoint += feature_bytes(settings.refresh.num_clusters, measured.dim)  # the centres
        bank = bank_bytes(settings.num_images, measured.dim) if settings.refresh.from_bank else 0
    if epoch is not None:
        training = epochs * epoch
        if settings.refresh is not None:
            training = training + settings.refresh.num_refreshes * refresh.seconds if refresh is not None else None
    kept = kept_checkpoints(epochs, settings.checkpoint_interval or 0, settings.max_keep_ckpts)
    return Forecast(
        compute=compute,
        load=load,
        step=step,
        epoch=epoch,
        training=training,
        activation_bytes=activations,
        training_bytes=(
            settings.model_bytes + settings.trainable_bytes + measured.optimizer_bytes + (activations or 0)),
        checkpoint_bytes=checkpoint,
        disk_bytes=checkpoint * kept + bank,
        refresh=refresh)


def _refresh(settings: Settings, refresh: RefreshSettings, measured: Measurements, speed: SearchSpeed, cores: float,
             epoch: Optional[float]) -> RefreshForecast:
    num_images, dim, num_clusters = settings.num_images, measured.dim, refresh.num_clusters
    own = math.ceil(num_images / settings.processes)  # images of this process
    extract = 0.0 if refresh.from_bank else pipelined_seconds(
        own * measured.encode, own * measured.load_view, settings.num_workers, cores, measured.busy_cores)
    search = (kmeans_flops(num_images, dim, num_clusters, refresh.exact) / speed.cluster
              + search_flops(num_images, dim, num_clusters, refresh.exact, refresh.nprobe) / speed.search)
    of_another = gathering_bytes(num_images, dim, settings.processes, main=False)
    gathering = gathering_bytes(num_images, dim, settings.processes) + (settings.local_processes - 1) * of_another
    finding = refresh_bytes(num_images, dim, NeighborSizes(num_clusters, refresh.num_neighbors), refresh.num_positives,
                            all_readable=not measured.unreadable, whitened=refresh.whitened)
    seconds = extract + search
    share = seconds / (refresh.interval * epoch + seconds) if epoch else None
    return RefreshForecast(max(gathering, finding), extract, search, seconds, share)


def pipelined_seconds(compute: float, load: float, num_workers: int, cores: float, busy_cores: float) -> float:
    """Seconds of a process for a batch, while its workers load the next ones: the slowest of model, workers and cores.

    Args:
        compute, load: Seconds of the model, and of one worker, for the batch.
        num_workers: Loader workers of the process; without any, loading and computing take turns.
        cores: The process's share of the machine's.
        busy_cores: That the model's computation keeps busy.
    """
    alone = max(compute, load / num_workers) if num_workers else compute + load
    return max(alone, (compute * busy_cores + load) / cores)


def kept_checkpoints(epochs: int, interval: float, keep: int) -> int:
    """Checkpoints that lie on the disk at most, one of them being written.

    An ``interval`` of 0 or below writes only the last; a ``keep`` below 1 keeps all.
    """
    written = max(1, math.ceil(epochs / interval)) if interval > 0 else 1
    return written if keep < 1 else min(written, keep + 1)


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
    paths = map(Path, ['/proc/meminfo', f'{group}.max', f'{group}.current', f'{group}.stat'])
    folder = Path(checkpoints).absolute()
    gpu: Any = torch.cuda.get_device_properties(device) if device.type == 'cuda' else None
    return Machine(
        cores=available_cores(),
        free_memory=available_memory(*(path.read_text() if path.is_file() else '' for path in paths)),
        free_disk=None if ':' in checkpoints else shutil.disk_usage(  # not a local folder
            next(parent for parent in (folder, *folder.parents) if parent.is_dir())).free,
        gpu=gpu and gpu.name,
        gpu_memory=gpu and gpu.total_memory)


def available_memory(meminfo: str, limit: str = '', used: str = '', statistics: str = '') -> Optional[int]:
    """Available bytes by the texts of Linux's ``meminfo`` and of a control group's ``memory.max, .current, .stat``."""
    amounts = [int(kib) * 1024 for kib in re.findall(r'^MemAvailable:\s+(\d+) kB', meminfo, re.MULTILINE)]
    if limit.strip().isdigit() and used.strip().isdigit():
        # The page cache counts as used, but gives way.
        cached = sum(int(number) for number in re.findall(r'^inactive_file (\d+)', statistics, re.MULTILINE))
        amounts.append(max(0, int(limit) - int(used) + cached))
    return min(amounts, default=None)


def duration(seconds: Optional[float]) -> str:
    """As in ``0.35 s`` and ``1 day, 5:04:00``; ``unknown`` for None."""
    if seconds is None:
        return 'unknown'
    return f'{seconds:.2g} s' if seconds < 99.5 else str(timedelta(seconds=round(seconds)))


def amount(number: Optional[float]) -> str:
    """Bytes, as in ``1.23 GiB``; ``unknown`` for None."""
    if number is None:
        return 'unknown'
    return f'{number / 2**20:.3g} MiB' if number < 999.5 * 2**20 else f'{number / 2**30:.3g} GiB'
