"""What a training is set to do, as its Runner has it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from torch.nn.modules.batchnorm import _BatchNorm

from clim_mm.distributed import unwrapped
from clim_mm.host import MoCo
from clim_mm.neighbors.defaults import is_exact, neighbor_sizes
from clim_mm.protocols import HasQueues, RefreshesNeighbors, ShufflesKeys

from .estimates import refreshes_between, steps_per_epoch
from .model_sizes import ModelSizes, sizes_of
from .schedules import Schedule, schedules_of


@dataclass(frozen=True)
class RefreshSettings:
    """Of the neighbours: when (``num_refreshes`` are still to come), how many, by which search, from which features.

    ``memory`` are the bytes for a block of the search that is not exact.
    """

    interval: int
    begin: int
    num_refreshes: int
    num_clusters: int
    num_neighbors: int
    num_positives: int
    strategy: str
    exact: bool
    nprobe: int
    memory: int
    layer: str
    from_bank: bool
    num_workers: int


@dataclass(frozen=True)
class Settings:
    """Of the training.

    Attributes:
        num_images: N.
        batch_size: Images of one process's batch.
        processes, local_processes: That train, in all and on this machine.
        accumulation: Batches to an optimizer step.
        steps: Batches of a process in an epoch.
        max_epochs: Of the training.
        start_epoch: Above 0 if the training goes on from a checkpoint.
        num_workers: Of a process.
        drop_last: Whether an incomplete batch is left out.
        optimizer: Its class.
        lr: Learning rate before any schedule.
        schedules: Of the learning rate.
        model: Its class.
        model_sizes: Bytes.
        batch_norm: Whether the model has batch normalisation.
        queue_len, key_dim: K and C of MoCo's queue; None for a model without.
        queue_must_divide: Whether the queue has to be a multiple of the keys of a batch.
        momentum: Share of itself that the momentum encoder keeps; None for a model without.
        bn_splits: Groups of batch normalisation in a process; None if there is only one.
        checkpoint_interval: Epochs; None if only the last is written, or none.
        max_keep_ckpts: Below 1 for all.
        refresh: None if there are no neighbours.
        unit_values: Whether mean and std of the images are for values from 0 to 1, and not to 255.
    """

    num_images: int
    batch_size: int
    processes: int
    local_processes: int
    accumulation: int
    steps: int
    max_epochs: int
    start_epoch: int
    num_workers: int
    drop_last: bool
    optimizer: str
    lr: float
    schedules: tuple[Schedule, ...]
    model: str
    model_sizes: ModelSizes
    batch_norm: bool
    queue_len: Optional[int]
    key_dim: Optional[int]
    queue_must_divide: bool
    momentum: Optional[float]
    bn_splits: Optional[int]
    checkpoint_interval: Optional[float]
    max_keep_ckpts: int
    refresh: Optional[RefreshSettings]
    unit_values: bool = False

    @property
    def images_per_step(self) -> int:
        """Of an optimizer step."""
        return self.batch_size * self.processes * self.accumulation


def read_settings(runner: Runner,
                neighbor_hook: Optional[RefreshesNeighbors] = None,
                processes: Optional[int] = None) -> Settings:
    """Read them from a Runner that is about to train by epochs.

    Args:
        runner: In ``before_train`` or later.
        neighbor_hook: Which refreshes the neighbours, if one does.
        processes: Of the training that is planned. Defaults to those that run.

    Raises:
        ConfigError: If the sizes of the neighbours do not fit the number of images.
    """
    loader, model = runner.train_dataloader, unwrapped(runner)
    num_images, batch_size = len(loader.dataset), loader.batch_size or loader.batch_sampler.batch_size
    drop_last = getattr(loader.batch_sampler, 'drop_last', loader.drop_last)
    splits = runner.cfg.get('model', {}).get('bn_splits')
    if processes is None or processes == runner.world_size:
        processes, steps, local = runner.world_size, len(loader), _local_processes(runner.world_size)
        if isinstance(model, ShufflesKeys):
            splits = model.key_shuffle.splits  # which the model chooses by the processes that run
    else:
        steps = steps_per_epoch(num_images, batch_size, processes, drop_last)
        local = min(processes, torch.cuda.device_count()) if torch.cuda.is_available() else processes
    optimizer = runner.optim_wrapper.optimizer
    group = optimizer.param_groups[0]
    interval, keep = _checkpoints(runner.hooks, steps)
    is_moco = isinstance(model, MoCo)
    queue_len, key_dim = (model.queue_len, len(model.queue)) if is_moco else (None, None)
    if isinstance(model, HasQueues):
        queue = [*model.queues.values()][-1]
        queue_len, key_dim = len(queue), queue.dim
    return Settings(
        num_images=num_images,
        batch_size=batch_size,
        processes=processes,
        local_processes=local,
        accumulation=_accumulation(runner),
        steps=steps,
        max_epochs=runner.max_epochs,
        start_epoch=runner.epoch,
        num_workers=loader.num_workers,
        drop_last=drop_last,
        optimizer=type(optimizer).__name__,
        lr=float(group.get('initial_lr', group['lr'])),
        schedules=schedules_of(runner.param_schedulers),
        model=type(model).__name__,
        model_sizes=sizes_of(model),
        batch_norm=any(isinstance(module, _BatchNorm) for module in model.modules()),
        queue_len=queue_len,
        key_dim=key_dim,
        queue_must_divide=is_moco,
        momentum=1 - model.encoder_k.momentum if hasattr(model, 'encoder_k') else None,
        bn_splits=splits if splits is not None and splits > 1 else None,
        checkpoint_interval=interval,
        max_keep_ckpts=keep,
        refresh=_refresh(neighbor_hook, runner) if neighbor_hook is not None else None,
        unit_values=_has_unit_values(getattr(model, 'data_preprocessor', None)))


def _has_unit_values(preprocessor: Any) -> bool:
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    if not isinstance(mean, torch.Tensor) or not isinstance(std, torch.Tensor):
        return False
    return 0 < float(mean.max()) <= 1 and float(std.max()) < 1


def _accumulation(runner: Runner) -> int:
    # What the wrapper divides a loss by; it does not tell the number otherwise.
    return round(1 / float(runner.optim_wrapper.scale_loss(torch.ones(()))))


def _local_processes(processes: int) -> int:
    local = os.environ.get('LOCAL_WORLD_SIZE', os.environ.get('SLURM_NTASKS_PER_NODE', processes))
    return min(processes, int(local))


def _checkpoints(hooks: Iterable[Any], steps: int) -> tuple[Optional[float], int]:
    """Epochs between two checkpoints, and how many are kept."""
    for hook in hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            return hook.interval if hook.by_epoch else hook.interval / max(1, steps), hook.max_keep_ckpts
    return None, 1


def _refresh(hook: Any, runner: Runner) -> RefreshSettings:
    dataset = runner.train_dataloader.dataset
    sizes = neighbor_sizes(len(dataset), hook.num_clusters, hook.num_neighbors)
    return RefreshSettings(
        interval=hook.interval,
        begin=hook.begin,
        num_refreshes=refreshes_between(runner.epoch, runner.max_epochs, hook.begin, hook.interval),
        num_clusters=sizes.num_clusters,
        num_neighbors=sizes.num_neighbors,
        num_positives=dataset.table.num_positives,
        strategy=hook.strategy,
        exact=is_exact(hook.exact, len(dataset)),
        nprobe=hook.nprobe,
        memory=hook.memory_mib * 2**20,
        layer=hook.layer,
        from_bank=hook.feature_source == 'bank',
        num_workers=hook.extraction.num_workers)
