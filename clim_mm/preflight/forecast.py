"""What a training will take: bytes and seconds, from its settings and what was measured."""

import math
from dataclasses import dataclass
from typing import Optional

from clim_mm.distributed.gather_by_id import gathering_bytes
from clim_mm.neighbors import NeighborTable
from clim_mm.neighbors.defaults import NeighborSizes
from clim_mm.neighbors.faiss_backend import feature_bytes
from clim_mm.neighbors.key_bank import bank_bytes
from clim_mm.neighbors.kmeans import kmeans_flops
from clim_mm.neighbors.refresh import index_bytes, refresh_bytes, search_flops

from . import estimates
from .measure_search import SearchSpeed
from .measurements import Extraction, Measurements
from .settings import RefreshSettings, Settings


@dataclass(frozen=True)
class RefreshForecast:
    """Of one refresh.

    Attributes:
        dim: d.
        feature_bytes: N x d float32.
        index_bytes: Of the features' copy that is searched.
        host_bytes: The most that the processes on this machine, the first among them, hold meanwhile.
        table_bytes: Of all processes on this machine.
        extract, cluster, search: Seconds.
        extractions: How many of the refreshes extract; with a bank of keys only one before the first epoch.
        bank_bytes: Of the bank on the disk; 0 without one.
        share: Of the training's time that goes into refreshes; None if an epoch has no steps or was not measured.
    """

    dim: int
    feature_bytes: int
    index_bytes: int
    host_bytes: int
    table_bytes: int
    extract: float
    cluster: float
    search: float
    extractions: int
    bank_bytes: int
    share: Optional[float]

    @property
    def seconds(self) -> float:
        """Of a refresh that extracts."""
        return self.extract + self.cluster + self.search

    @property
    def later_seconds(self) -> float:
        """Of those that follow: without the extraction if there is a bank."""
        return self.seconds - (self.extract if self.bank_bytes else 0)


@dataclass(frozen=True)
class Forecast:
    """Of the training; None for what was not measured.

    Attributes:
        compute: Seconds of the model on a process's batch.
        load: Seconds in which the workers of a process load a batch.
        step: Seconds of a batch, with both.
        epoch: Seconds, without refreshes.
        training: Seconds from the start epoch to the end, with refreshes.
        optimizer_bytes, activation_bytes: Of a process; activations only where a GPU tells.
        training_bytes: Of a process, on the model's device: model, gradients, optimizer, activations.
        checkpoint_bytes: Of one.
        disk_bytes: Of all checkpoints that lie beside each other at most.
        refresh: None if there is none, or it was not measured.
    """

    compute: Optional[float]
    load: Optional[float]
    step: Optional[float]
    epoch: Optional[float]
    training: Optional[float]
    optimizer_bytes: Optional[int]
    activation_bytes: Optional[int]
    training_bytes: int
    checkpoint_bytes: int
    disk_bytes: int
    refresh: Optional[RefreshForecast]


def forecast(settings: Settings, measured: Measurements, cores: int, all_readable: bool = True) -> Forecast:
    """Work it out.

    Args:
        settings: Of the training.
        measured: On this machine.
        cores: Of this machine.
        all_readable: Whether no image was found that cannot be read.
    """
    compute = load = seconds = epoch = None
    activations = optimizer = None
    if measured.step is not None:
        compute = measured.step.seconds_per_image * settings.batch_size
        optimizer = measured.step.optimizer_bytes
        if measured.step.activation_bytes is not None:
            activations = round(measured.step.activation_bytes / measured.step.images * settings.batch_size)
    if measured.loading is not None:
        load = measured.loading.seconds * settings.batch_size / max(1, settings.num_workers)
    if compute is not None and measured.loading is not None:
        seconds = estimates.pipelined_seconds(
            compute, measured.loading.seconds, settings.batch_size, settings.num_workers, cores,
            settings.local_processes, measured.busy_cores)
        epoch = settings.steps * seconds
    refresh = training = None
    if settings.refresh is not None and measured.extraction is not None and measured.search is not None:
        refresh = _refresh(settings, settings.refresh, measured.extraction, measured.search, measured.busy_cores, cores,
                           epoch, all_readable)
    if epoch is not None and (settings.refresh is None or refresh is not None):
        training = (settings.max_epochs - settings.start_epoch) * epoch
        if settings.refresh is not None and refresh is not None:
            training += (refresh.extractions * refresh.extract
                         + settings.refresh.num_refreshes * (refresh.cluster + refresh.search))
    sizes = settings.model_sizes
    checkpoint = sizes.total + (optimizer or 0)
    if settings.refresh is not None:
        dim = measured.extraction.dim if measured.extraction is not None else 0
        checkpoint += NeighborTable.bytes_of(settings.num_images, settings.refresh.num_positives)
        checkpoint += feature_bytes(settings.refresh.num_clusters, dim)  # the centres
    epochs, interval = settings.max_epochs - settings.start_epoch, settings.checkpoint_interval or 0
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
        disk_bytes=checkpoint * estimates.kept_checkpoints(epochs, interval, settings.max_keep_ckpts),
        refresh=refresh)


def _refresh(settings: Settings, refresh: RefreshSettings, extraction: Extraction, speed: SearchSpeed,
             busy_cores: float, cores: int, epoch: Optional[float], all_readable: bool) -> RefreshForecast:
    num_images, dim, num_clusters = settings.num_images, extraction.dim, refresh.num_clusters
    share = math.ceil(num_images / settings.processes)  # of the images, in this process
    extract = estimates.pipelined_seconds(
        share * extraction.encode, extraction.load, share, refresh.num_workers, cores, settings.local_processes,
        busy_cores)
    cluster = kmeans_flops(num_images, dim, num_clusters, refresh.exact) / speed.cluster
    search = search_flops(num_images, dim, num_clusters, refresh.exact, refresh.nprobe) / speed.search
    seconds = cluster + search + (0 if refresh.from_bank else extract)
    before_any_key = refresh.num_refreshes > 0 and settings.start_epoch == refresh.begin == 0
    of_another = gathering_bytes(num_images, dim, settings.processes, main=False)
    gathering = gathering_bytes(num_images, dim, settings.processes) + (settings.local_processes - 1) * of_another
    finding = refresh_bytes(
        num_images, dim, NeighborSizes(num_clusters, refresh.num_neighbors), refresh.num_positives, refresh.strategy,
        refresh.exact, refresh.memory, speed.on_gpu, all_readable)
    return RefreshForecast(
        dim=dim,
        feature_bytes=feature_bytes(num_images, dim),
        index_bytes=index_bytes(num_images, dim, num_clusters, refresh.exact, speed.on_gpu),
        host_bytes=max(gathering, finding),
        table_bytes=NeighborTable.bytes_of(num_images, refresh.num_positives) * settings.local_processes,
        extract=extract,
        cluster=cluster,
        search=search,
        extractions=int(before_any_key) if refresh.from_bank else refresh.num_refreshes,
        bank_bytes=bank_bytes(num_images, dim) if refresh.from_bank else 0,
        share=seconds / (refresh.interval * epoch + seconds) if epoch else None)
