"""What a training is set to do, as its Runner, its model and its neighbour hook say."""

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Optional

import torch
from mmengine.hooks import CheckpointHook
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmengine.utils.dl_utils import has_batch_norm

from clim_mm.checks import check_number
from clim_mm.distributed import unwrapped
from clim_mm.neighbors.defaults import is_exact, neighbor_sizes
from clim_mm.protocols import ChecksBatch, KeepsQueues, RefreshesNeighbors, ShufflesKeys


@dataclass(frozen=True)
class RefreshSettings:
    """What a training is set to do about its neighbours."""

    interval: int
    begin: int
    num_refreshes: int  # still to come
    num_clusters: int
    num_neighbors: int
    num_positives: int
    strategy: str
    whitened: bool
    exact: bool
    nprobe: int
    from_bank: bool


@dataclass(frozen=True)
class Settings:
    """What a training is set to do."""

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
    lr_rule: Optional[tuple[float, float]]  # a learning rate, and the images of an optimizer step that it is for
    schedules: tuple[str, ...]
    trainable_bytes: int
    model_bytes: int  # of all parameters, queues and other buffers
    queue_len: Optional[int]  # K of the last queue
    momentum: Optional[float]  # share of itself that the momentum encoder keeps
    leaks_positives: bool  # by the batch statistics
    unit_values: bool  # std of the images is for values from 0 to 1
    checkpoint_interval: Optional[float]  # epochs; None if only the last is written, or none
    max_keep_ckpts: int  # below 1 for all
    refresh: Optional[RefreshSettings]
    batch_fault: str = ''  # what the model finds wrong with the batch of all processes

    @property
    def images_per_step(self) -> int:
        """Images of all processes that an optimizer step sees."""
        return self.batch_size * self.processes * self.accumulation


def read_settings(runner: Runner, neighbor_hook: Optional[RefreshesNeighbors] = None,
                  processes: Optional[int] = None) -> Settings:
    """Read them from a Runner in ``before_train`` or later, which trains by epochs.

    Args:
        processes: Number of processes that the planned training will have. None takes those that run.
    """
    loader, model = runner.train_dataloader, unwrapped(runner)
    num_images, batch_size = len(loader.dataset), loader.batch_size or loader.batch_sampler.batch_size
    processes, steps = processes or runner.world_size, len(loader)
    if processes != runner.world_size:
        drop_last = getattr(loader.batch_sampler, 'drop_last', loader.drop_last)
        steps = steps_per_epoch(num_images, batch_size, processes, drop_last)
    optimizer = runner.optim_wrapper.optimizer
    group = optimizer.param_groups[0]
    queue_len = [*model.queues.values()][-1].keys.shape[1] if isinstance(model, KeepsQueues) else None
    splits = model.key_shuffle.splits if isinstance(model, ShufflesKeys) else 1
    average = next((module for module in model.modules() if isinstance(module, ExponentialMovingAverage)), None)
    checkpoints: Any = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.interval > 0),
                            SimpleNamespace(interval=None, by_epoch=True, max_keep_ckpts=1))
    std = getattr(getattr(model, 'data_preprocessor', None), 'std', None)
    return Settings(
        num_images=num_images,
        batch_size=batch_size,
        processes=processes,
        local_processes=min(processes, torch.cuda.device_count() or processes),
        accumulation=batches_per_step(runner.optim_wrapper),
        steps=steps,
        max_epochs=runner.max_epochs,
        start_epoch=runner.epoch,
        num_workers=loader.num_workers,
        optimizer=type(optimizer).__name__,
        lr=float(group.get('initial_lr', group['lr'])),
        lr_rule=_lr_rule(runner),
        schedules=tuple(type(each).__name__ for each in runner.param_schedulers or () if each.param_name == 'lr'),
        trainable_bytes=sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad),
        model_bytes=sum(tensor.nbytes for tensors in (model.parameters(), model.buffers()) for tensor in tensors),
        queue_len=queue_len,
        momentum=None if average is None else 1 - average.momentum,
        leaks_positives=processes == splits == 1 and queue_len is not None and has_batch_norm(model),
        unit_values=std is not None and bool((std < 1).all()),
        checkpoint_interval=checkpoints.interval if checkpoints.by_epoch else checkpoints.interval / max(1, steps),
        max_keep_ckpts=checkpoints.max_keep_ckpts,
        refresh=_refresh(neighbor_hook, runner) if neighbor_hook is not None else None,
        batch_fault=model.check_batch(batch_size * processes) if isinstance(model, ChecksBatch) else '')


def batches_per_step(wrapper: OptimWrapper) -> int:
    """Batches that are accumulated to an optimizer step, which only the divisor of the loss tells."""
    return round(1 / float(wrapper.scale_loss(torch.ones(()))))


def steps_per_epoch(num_images: int, batch_size: int, processes: int, drop_last: bool) -> int:
    """Batches that a process trains on in an epoch, under MMEngine's ``DefaultSampler``."""
    of_a_process = math.ceil(num_images / processes)
    return of_a_process // batch_size if drop_last else math.ceil(of_a_process / batch_size)


def _lr_rule(runner: Runner) -> Optional[tuple[float, float]]:
    """That of MMEngine's ``auto_scale_lr``, which may have a ``base_lr`` for configs whose own is overridden."""
    rule: Any = runner.cfg.get('auto_scale_lr') or {}
    if rule.get('base_batch_size') is None:
        return None
    base_lr = rule.get('base_lr') or runner.cfg.optim_wrapper.optimizer.lr
    check_number('auto_scale_lr.base_lr', base_lr, above=0)
    check_number('auto_scale_lr.base_batch_size', rule.base_batch_size, above=0)
    return base_lr, rule.base_batch_size


def _refresh(hook: RefreshesNeighbors, runner: Runner) -> RefreshSettings:
    dataset = runner.train_dataloader.dataset
    sizes = neighbor_sizes(len(dataset), hook.num_clusters, hook.num_neighbors)
    return RefreshSettings(
        interval=hook.interval,
        begin=hook.begin,
        num_refreshes=sum(epoch >= runner.epoch for epoch in range(hook.begin, runner.max_epochs, hook.interval)),
        num_clusters=sizes.num_clusters,
        num_neighbors=sizes.num_neighbors,
        num_positives=dataset.table.num_positives,
        strategy=hook.strategy,
        whitened=hook.whiten is not None,
        exact=is_exact(hook.exact, len(dataset)),
        nprobe=hook.nprobe,
        from_bank=hook.feature_source == 'bank')
