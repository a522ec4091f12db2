"""What a training is set to do, as its Runner, its model and its neighbour hook say."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine.hooks import CheckpointHook
from mmengine.model import ExponentialMovingAverage
from mmengine.optim.scheduler import CosineAnnealingParamScheduler, MultiStepParamScheduler, StepParamScheduler
from mmengine.runner import Runner
from mmengine.utils.dl_utils import has_batch_norm

from clim_mm.distributed import unwrapped
from clim_mm.neighbors.defaults import is_exact, neighbor_sizes
from clim_mm.protocols import KeepsQueues, RefreshesNeighbors, ShufflesKeys


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule, in epochs or, if not ``by_epoch``, in iterations."""

    name: str
    by_epoch: bool
    begin: int
    end: int
    cosine_ends: Optional[int] = None  # when its cosine is at its lowest
    milestones: tuple[int, ...] = ()  # when it lowers the rate; of a StepLR only the first time


@dataclass(frozen=True)
class ModelSizes:
    """Bytes of a model's tensors."""

    trainable: int
    momentum_encoder: int
    queue: int
    other: int  # frozen parameters and buffers

    @property
    def total(self) -> int:
        """All of them, which but for a few is what a checkpoint holds of the model."""
        return self.trainable + self.momentum_encoder + self.queue + self.other


@dataclass(frozen=True)
class RefreshSettings:
    """Of the neighbours."""

    interval: int
    begin: int
    num_refreshes: int  # still to come
    num_clusters: int
    num_neighbors: int
    num_positives: int
    strategy: str
    exact: bool
    nprobe: int
    layer: str
    from_bank: bool
    num_workers: int


@dataclass(frozen=True)
class Settings:
    """Of the training."""

    num_images: int
    batch_size: int  # of a process
    processes: int
    local_processes: int  # on this machine
    accumulation: int  # batches to an optimizer step
    steps: int  # batches of a process in an epoch
    max_epochs: int
    start_epoch: int
    num_workers: int  # of a process
    optimizer: str
    lr: float  # before any schedule
    schedules: tuple[Schedule, ...]
    model: str
    model_sizes: ModelSizes
    batch_norm: bool
    queue_len: Optional[int]  # K of the last queue
    key_dim: Optional[int]  # C
    momentum: Optional[float]  # share of itself that the momentum encoder keeps
    bn_splits: Optional[int]  # groups of batch statistics in a process, if several
    checkpoint_interval: Optional[float]  # epochs; None if only the last is written, or none
    max_keep_ckpts: int  # below 1 for all
    refresh: Optional[RefreshSettings]
    unit_values: bool = False  # mean and std of the images are for values from 0 to 1, and not to 255

    @property
    def images_per_step(self) -> int:
        """Of an optimizer step."""
        return self.batch_size * self.processes * self.accumulation


def read_settings(runner: Runner, neighbor_hook: Optional[RefreshesNeighbors] = None,
                  processes: Optional[int] = None) -> Settings:
    """Read them from a Runner in ``before_train`` or later, which trains by epochs.

    Args:
        processes: Of the training that is planned. None takes those that run.
    """
    loader, model = runner.train_dataloader, unwrapped(runner)
    num_images, batch_size = len(loader.dataset), loader.batch_size or loader.batch_sampler.batch_size
    splits = runner.cfg.get('model', {}).get('bn_splits')
    if processes is None or processes == runner.world_size:
        processes, steps = runner.world_size, len(loader)
        per_node = os.environ.get('LOCAL_WORLD_SIZE', os.environ.get('SLURM_NTASKS_PER_NODE', processes))
        local = min(processes, int(per_node))
        if isinstance(model, ShufflesKeys):
            splits = model.key_shuffle.splits  # which the model chooses by the processes that run
    else:
        drop_last = getattr(loader.batch_sampler, 'drop_last', loader.drop_last)
        steps = steps_per_epoch(num_images, batch_size, processes, drop_last)
        local = min(processes, torch.cuda.device_count()) if torch.cuda.is_available() else processes
    optimizer = runner.optim_wrapper.optimizer
    group = optimizer.param_groups[0]
    interval, keep = _checkpoints(runner.hooks, steps)
    key_dim, queue_len = [*model.queues.values()][-1].keys.shape if isinstance(model, KeepsQueues) else (None, None)
    average = _average_of(model)
    return Settings(
        num_images=num_images,
        batch_size=batch_size,
        processes=processes,
        local_processes=local,
        # What the wrapper divides a loss by; it does not tell the number otherwise.
        accumulation=round(1 / float(runner.optim_wrapper.scale_loss(torch.ones(())))),
        steps=steps,
        max_epochs=runner.max_epochs,
        start_epoch=runner.epoch,
        num_workers=loader.num_workers,
        optimizer=type(optimizer).__name__,
        lr=float(group.get('initial_lr', group['lr'])),
        schedules=schedules_of(runner.param_schedulers),
        model=type(model).__name__,
        model_sizes=sizes_of(model),
        batch_norm=has_batch_norm(model),
        queue_len=queue_len,
        key_dim=key_dim,
        momentum=None if average is None else 1 - average.momentum,
        bn_splits=splits if splits is not None and splits > 1 else None,
        checkpoint_interval=interval,
        max_keep_ckpts=keep,
        refresh=_refresh(neighbor_hook, runner) if neighbor_hook is not None else None,
        unit_values=_has_unit_values(getattr(model, 'data_preprocessor', None)))


def steps_per_epoch(num_images: int, batch_size: int, processes: int, drop_last: bool) -> int:
    """Batches that a process trains on in an epoch, under MMEngine's ``DefaultSampler``."""
    of_a_process = math.ceil(num_images / processes)
    return of_a_process // batch_size if drop_last else math.ceil(of_a_process / batch_size)


def schedules_of(schedulers: Any) -> tuple[Schedule, ...]:
    """Those of the learning rate among a Runner's ``param_schedulers``, once they are built."""
    return tuple(_schedule(scheduler) for scheduler in schedulers or () if scheduler.param_name == 'lr')


def sizes_of(model: torch.nn.Module) -> ModelSizes:
    """The bytes of a model's tensors."""
    trainable = sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    average = _average_of(model)
    encoder = sum(parameter.nbytes for parameter in average.parameters()) if average is not None else 0
    queue = sum(queue.keys.nbytes for queue in model.queues.values()) if isinstance(model, KeepsQueues) else 0
    total = sum(tensor.nbytes for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
    return ModelSizes(trainable, encoder, queue, total - trainable - encoder - queue)


def _average_of(model: torch.nn.Module) -> Optional[ExponentialMovingAverage]:
    """The model's momentum encoder."""
    return next((module for module in model.modules() if isinstance(module, ExponentialMovingAverage)), None)


def _schedule(scheduler: Any) -> Schedule:
    cosine_ends: Optional[int] = None
    milestones: tuple[int, ...] = ()
    if isinstance(scheduler, CosineAnnealingParamScheduler):
        cosine_ends = scheduler.begin + scheduler.T_max
    elif isinstance(scheduler, MultiStepParamScheduler):
        milestones = tuple(sorted(scheduler.begin + milestone for milestone in scheduler.milestones))
    elif isinstance(scheduler, StepParamScheduler):
        milestones = (scheduler.begin + scheduler.step_size, )
    return Schedule(
        type(scheduler).__name__, scheduler.by_epoch, scheduler.begin, scheduler.end, cosine_ends, milestones)


def _has_unit_values(preprocessor: Any) -> bool:
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    if not isinstance(mean, torch.Tensor) or not isinstance(std, torch.Tensor):
        return False
    return 0 < float(mean.max()) <= 1 and float(std.max()) < 1


def _checkpoints(hooks: Iterable[Any], steps: int) -> tuple[Optional[float], int]:
    """Epochs between two checkpoints, and how many are kept."""
    for hook in hooks:
        if isinstance(hook, CheckpointHook) and hook.interval > 0:
            return hook.interval if hook.by_epoch else hook.interval / max(1, steps), hook.max_keep_ckpts
    return None, 1


def _refresh(hook: RefreshesNeighbors, runner: Runner) -> RefreshSettings:
    dataset = runner.train_dataloader.dataset
    due = len(range(hook.begin, runner.max_epochs, hook.interval))
    sizes = neighbor_sizes(len(dataset), hook.num_clusters, hook.num_neighbors)
    return RefreshSettings(
        interval=hook.interval,
        begin=hook.begin,
        num_refreshes=due - len(range(hook.begin, runner.epoch, hook.interval)),
        num_clusters=sizes.num_clusters,
        num_neighbors=sizes.num_neighbors,
        num_positives=dataset.table.num_positives,
        strategy=hook.strategy,
        exact=is_exact(hook.exact, len(dataset)),
        nprobe=hook.nprobe,
        layer=hook.extraction.layer,
        from_bank=hook.feature_source == 'bank',
        num_workers=hook.extraction.num_workers)
