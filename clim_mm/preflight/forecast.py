"""What a training will take: bytes and seconds, from its settings and what was measured."""

import math
from dataclasses import dataclass
from typing import Optional

from clim_mm.distributed.gather_by_id import gathering_bytes
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import feature_bytes
from clim_mm.neighbors.key_bank import bank_bytes
from clim_mm.neighbors.refresh_cost import SearchSpeed, kmeans_flops, refresh_bytes, search_flops

from .measure import Extraction, Measurements
from .settings import RefreshSettings, Settings


@dataclass(frozen=True)
class RefreshForecast:
    """Bytes and seconds of one refresh."""

    dim: int
    feature_bytes: int
    index_bytes: int  # of the features' copy that is searched
    host_bytes: int  # the most that the processes on this machine, the first among them, hold meanwhile
    table_bytes: int  # of all processes on this machine
    extract: float
    cluster: float
    search: float
    extractions: int  # of all refreshes; with a bank of keys only one before the first epoch
    bank_bytes: int  # on the disk; 0 without a bank
    share: Optional[float]  # of the training's time that goes into refreshes, if that was measured

    @property
    def seconds(self) -> float:
        """Of a refresh; with a bank, of those that do not extract."""
        return self.cluster + self.search + (0 if self.bank_bytes else self.extract)


@dataclass(frozen=True)
class Forecast:
    """Bytes and seconds of the training; None for what was not measured."""

    compute: Optional[float]  # of the model, on a process's batch
    load: Optional[float]  # in which the workers of a process load a batch
    step: Optional[float]  # both
    epoch: Optional[float]  # without refreshes
    training: Optional[float]  # from the start epoch to the end, with refreshes
    optimizer_bytes: Optional[int]  # of a process, as the next two
    activation_bytes: Optional[int]  # where a GPU tells
    training_bytes: int  # on the model's device: model, gradients, optimizer, activations
    checkpoint_bytes: int
    disk_bytes: int  # of all checkpoints that lie beside each other at most
    refresh: Optional[RefreshForecast]


def forecast(settings: Settings, measured: Measurements, cores: int, all_readable: bool = True) -> Forecast:
    """Work it out for a machine of so many cores; ``all_readable`` if no unreadable image was found."""
    compute = load = seconds = epoch = activations = optimizer = refresh = training = None
    if measured.step is not None:
        compute = measured.step.seconds_per_image * settings.batch_size
        optimizer = measured.step.optimizer_bytes
        if measured.step.activation_bytes is not None:
            activations = round(measured.step.activation_bytes / measured.step.images * settings.batch_size)
    if measured.loading is not None:
        load = measured.loading.seconds * settings.batch_size / max(1, settings.num_workers)
    if compute is not None and measured.loading is not None:
        seconds = pipelined_seconds(
            compute, measured.loading.seconds, settings.batch_size, settings.num_workers, cores,
            settings.local_processes, measured.busy_cores)
        epoch = settings.steps * seconds
    if settings.refresh is not None and measured.extraction is not None and measured.search is not None:
        refresh = _refresh(settings, settings.refresh, measured.extraction, measured.search, measured.busy_cores, cores,
                           epoch, all_readable)
    epochs = settings.max_epochs - settings.start_epoch
    if epoch is not None and (settings.refresh is None or refresh is not None):
        training = epochs * epoch
        if settings.refresh is not None and refresh is not None:
            training += (refresh.extractions * refresh.extract
                         + settings.refresh.num_refreshes * (refresh.cluster + refresh.search))
    sizes = settings.model_sizes
    checkpoint = sizes.total + (optimizer or 0)
    if settings.refresh is not None:
        checkpoint += NeighborTable.bytes_of(settings.num_images, settings.refresh.num_positives)
        if measured.extraction is not None:
            checkpoint += feature_bytes(settings.refresh.num_clusters, measured.extraction.dim)  # the centres
    return Forecast(
        compute=compute,
        load=load,
        step=seconds,
        epoch=epoch,
        training=training,
        optimizer_bytes=optimizer,
        activation_bytes=activations,
        training_bytes=sizes.total + sizes.trainable + (optimizer or 0) + (activations or 0),
        checkpoint_bytes=checkpoint,
        disk_bytes=checkpoint * kept_checkpoints(epochs, settings.checkpoint_interval or 0, settings.max_keep_ckpts),
        refresh=refresh)


def _refresh(settings: Settings, refresh: RefreshSettings, extraction: Extraction, speed: SearchSpeed,
             busy_cores: float, cores: int, epoch: Optional[float], all_readable: bool) -> RefreshForecast:
    num_images, dim, num_clusters = settings.num_images, extraction.dim, refresh.num_clusters
    share = math.ceil(num_images / settings.processes)  # of the images, in this process
    extract = pipelined_seconds(
        share * extraction.encode, extraction.load, share, refresh.num_workers, cores, settings.local_processes,
        busy_cores)
    cluster = kmeans_flops(num_images, dim, num_clusters, refresh.exact) / speed.cluster
    search = search_flops(num_images, dim, num_clusters, refresh.exact, refresh.nprobe) / speed.search
    seconds = cluster + search + (0 if refresh.from_bank else extract)
    before_any_key = refresh.num_refreshes > 0 and settings.start_epoch == refresh.begin == 0
    of_another = gathering_bytes(num_images, dim, settings.processes, main=False)
    gathering = gathering_bytes(num_images, dim, settings.processes) + (settings.local_processes - 1) * of_another
    finding = refresh_bytes(
        num_images, dim, NeighborSizes(num_clusters, refresh.num_neighbors), refresh.num_positives, all_readable)
    return RefreshForecast(
        dim=dim,
        feature_bytes=feature_bytes(num_images, dim),
        index_bytes=feature_bytes(num_images, dim),
        host_bytes=max(gathering, finding),
        table_bytes=NeighborTable.bytes_of(num_images, refresh.num_positives) * settings.local_processes,
        extract=extract,
        cluster=cluster,
        search=search,
        extractions=int(before_any_key) if refresh.from_bank else refresh.num_refreshes,
        bank_bytes=bank_bytes(num_images, dim) if refresh.from_bank else 0,
        share=seconds / (refresh.interval * epoch + seconds) if epoch else None)


def pipelined_seconds(compute: float, load: float, batch_size: int, num_workers: int, cores: int, processes: int,
                      busy_cores: float) -> float:
    """Seconds for a batch, when workers load the next ones meanwhile.

    The slowest counts: the model, the workers, or the cores, which all processes of the machine share.

    Args:
        compute: Seconds of the model on the batch.
        load: Seconds of one worker on one sample.
        num_workers: Of a process; without any, loading and computing take turns.
        cores, processes: Of the machine.
        busy_cores: That the model's computation keeps busy in a process.
    """
    loading = batch_size * load
    shared = processes * (compute * busy_cores + loading) / cores
    alone = max(compute, loading / num_workers) if num_workers else compute + loading
    return max(alone, shared)


def kept_checkpoints(epochs: int, interval: float, keep: int) -> int:
    """Checkpoints that lie on the disk at most, one of them being written.

    An ``interval`` of 0 or below writes only the last; a ``keep`` below 1 keeps all.
    """
    written = max(1, math.ceil(epochs / interval)) if interval > 0 else 1
    return written if keep < 1 else min(written, keep + 1)
