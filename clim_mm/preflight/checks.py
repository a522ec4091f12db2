"""What looks wrong: settings that do not fit each other or the images, and what the machine does not allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from mmengine.runner import Runner

from .forecast import Forecast, Machine, amount, duration
from .measure import Measurements
from .settings import Settings

# [ours] What is called wrong.
_LR_FACTOR = 1.5
_MOMENTUM_SHARE = 0.2  # of the training's steps
_REFRESH_SHARE = 0.10  # of the training's time
_GPU_SHARE = 0.95  # of the GPU's memory
_LOADING_FACTOR = 1.1  # slower than the model


@dataclass(frozen=True)
class Facts:
    """All that is known before a training."""

    settings: Settings
    measured: Measurements
    forecast: Forecast
    machine: Machine


@dataclass(frozen=True)
class Finding:
    """The name of a check, for machines, and a sentence: what looks wrong, and the remedy."""

    name: str
    sentence: str


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Find settings that do not fit each other or the number of images."""
    if settings.steps == 0:
        yield Finding('steps', (
            f'{settings.num_images} images are fewer than one batch of {settings.batch_size} on each of '
            f'{settings.processes} process(es), and drop_last leaves it out, so that nothing is trained: lower '
            'train_dataloader.batch_size.'))
    yield from _check_lr(settings)
    yield from _check_contrast(settings)
    if settings.batch_fault:
        yield Finding('batch', settings.batch_fault)
    if settings.unit_values:
        yield Finding('normalization', (
            'Images have values from 0 to 255, and mean and std of the data_preprocessor are for values from 0 to 1: '
            'multiply both by 255.'))
    if settings.refresh is not None and settings.refresh.begin >= settings.max_epochs:
        yield Finding('refresh_begin', (
            f'The first refresh is due at epoch {settings.refresh.begin}, and the training has {settings.max_epochs}, '
            'so that no image ever has a positive: lower default_hooks.neighbors.begin.'))
    if (settings.checkpoint_interval or float('inf')) > settings.max_epochs > 1:
        yield Finding('checkpoint_interval', (
            f'No checkpoint is due before the end of the {settings.max_epochs} epochs, so that a training that breaks '
            'off loses everything: set default_hooks.checkpoint.interval to a few epochs.'))


def check_schedules(runner: Runner) -> Iterator[Finding]:
    """Find schedules of the learning rate that reach their lowest at another time than they, or the training, end."""
    for scheduler in runner.param_schedulers or ():
        unit, length = ('epoch', runner.max_epochs) if scheduler.by_epoch else ('iteration', runner.max_iters)
        end = min(scheduler.end, length)
        period, milestone = getattr(scheduler, 'T_max', None), max(getattr(scheduler, 'milestones', ()), default=None)
        lowest = scheduler.begin + (period or milestone or 0)
        if scheduler.param_name == 'lr' and (period and lowest != end or milestone and lowest >= end):
            yield Finding('schedule', (
                f'{type(scheduler).__name__} has its lowest rate at {unit} {lowest}, but ends at {end}: change its '
                'T_max or milestones, or train_cfg.max_epochs.'))


def _check_lr(settings: Settings) -> Iterator[Finding]:
    if settings.lr_rule is None or settings.optimizer != 'SGD':
        return
    base_lr, base_batch_size = settings.lr_rule
    lr = base_lr * settings.images_per_step / base_batch_size
    if not lr / _LR_FACTOR <= settings.lr <= lr * _LR_FACTOR:
        yield Finding('lr', (
            f'The learning rate {settings.lr:g} is {settings.lr / lr:.3g} times the {lr:.3g} of the rule {base_lr:g} x '
            f'images per step / {base_batch_size:g}, with {settings.images_per_step} images in a step: set '
            f'optim_wrapper.optimizer.lr={lr:.3g}, or, if it was found by trying, '
            f'auto_scale_lr.base_lr={settings.lr:g} and .base_batch_size={settings.images_per_step}.'))


def _check_contrast(settings: Settings) -> Iterator[Finding]:
    """The queue, the momentum encoder, and batch statistics that give the positive away."""
    if settings.queue_len is not None and settings.queue_len > settings.num_images:
        most = max(settings.batch_size * settings.processes, settings.num_images // 8)
        yield Finding('queue', (
            f'The queue of {settings.queue_len} keys is longer than the training set of {settings.num_images} images, '
            f'so that it holds old keys of every image: set model.queue_len to at most about {most}.'))
    total = ceil(settings.steps / settings.accumulation) * settings.max_epochs  # an epoch ends with a step
    if settings.momentum is not None and total and _MOMENTUM_SHARE * total * (1 - settings.momentum) < 1:
        yield Finding('momentum', (
            f'The momentum encoder keeps {settings.momentum:.6g} of itself at each of only {total} steps, too much to '
            f'follow: set model.momentum={max(0.0, 1 - 1 / max(1.0, 0.1 * total)):.3g}, or train for longer.'))
    if settings.leaks_positives:
        yield Finding('batch_norm', (
            'In one process the batch statistics of the query and of its key come from the same images and can give '
            'the positive away: train with two processes or more, or with CLIM\'s model.bn_splits=8.'))


def check_resources(facts: Facts) -> Iterator[Finding]:
    """Find what the images, the times, the memory and the disk do not allow."""
    settings, measured, plan, machine = facts.settings, facts.measured, facts.forecast, facts.machine
    if measured.unreadable:
        yield Finding('unreadable', (
            f'For {measured.samples} samples {len(measured.unreadable)} images could not be read, such as '
            f'{measured.unreadable[0]}: replace them or take them out of the data folder.'))
    if plan.compute is not None and plan.load is not None and plan.load > _LOADING_FACTOR * plan.compute:
        needed = ceil(plan.load * max(1, settings.num_workers) / plan.compute)
        yield Finding('loading', (
            f'Loading is slower than the model: {settings.num_workers} worker(s) need {duration(plan.load)} for a '
            f'batch of {settings.batch_size}, and the model {duration(plan.compute)}: set '
            f'train_dataloader.num_workers={needed}, or, if {machine.cores} cores are too few for that in each of '
            f'{settings.local_processes} process(es), store smaller images.'))
    if (refresh := plan.refresh) is not None:
        if refresh.share is not None and refresh.share > _REFRESH_SHARE:
            yield Finding('refresh_share', (
                f'Refreshes take {refresh.share:.0%} of the time, {duration(refresh.seconds)} each: raise `interval` '
                f'of default_hooks.neighbors, or, if the search takes most of it, set its `exact=False`.'))
        if machine.free_memory is not None and refresh.host_bytes > machine.free_memory:
            yield Finding('host_memory', (
                f'A refresh needs {amount(refresh.host_bytes)} of memory for features and index, and '
                f'{amount(machine.free_memory)} are free: take features from `layer="embedding"`, or a machine with '
                'more memory.'))
    if machine.gpu_memory is not None and plan.training_bytes > _GPU_SHARE * machine.gpu_memory:
        yield Finding('gpu_memory', (
            f'Training needs {amount(plan.training_bytes)} on a GPU of {amount(machine.gpu_memory)}: lower '
            'train_dataloader.batch_size and raise optim_wrapper.accumulative_counts, or train in mixed precision '
            'with --amp.'))
    if machine.free_disk is not None and plan.disk_bytes > machine.free_disk:
        yield Finding('disk', (
            f'The checkpoints need {amount(plan.disk_bytes)}, and {amount(machine.free_disk)} are free where they go: '
            'make room, or set default_hooks.checkpoint.max_keep_ckpts lower.'))
