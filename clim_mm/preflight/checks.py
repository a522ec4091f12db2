"""What looks wrong: settings that do not fit each other or the images, and what the machine does not allow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Optional

from .forecast import Forecast
from .image_sample import ImageSample
from .machine import Machine
from .measure import Measurements
from .settings import Schedule, Settings
from .units import amount, duration

# [ours] What is called wrong.
_LR_FACTOR = 1.5
_MOMENTUM_SHARE = 0.2  # of the training's steps
_DAY = 86400.0
_REFRESH_SHARE = 0.10  # of the training's time
_GPU_SHARE = 0.95  # of the GPU's memory
_LOADING_FACTOR = 1.1  # slower than the model


@dataclass(frozen=True)
class Facts:
    """All that is known before a training; ``images`` is None if the dataset does not tell their paths."""

    settings: Settings
    images: Optional[ImageSample]
    measured: Measurements
    forecast: Forecast
    machine: Machine


@dataclass(frozen=True)
class Finding:
    """The name of a check, for machines, and a sentence: what looks wrong, and the remedy."""

    name: str
    sentence: str


@dataclass(frozen=True)
class LrRule:
    """A learning rate ``lr`` of SGD for so many ``images`` of an optimizer step, in one ``kind`` of training.

    Fine-tuning on few labels, other optimizers and backbones of other pretrainings have none.
    """

    lr: float
    images: int
    kind: str

    def of(self, images_per_step: int) -> float:
        """The learning rate for so many images."""
        return self.lr * images_per_step / self.images


PRETRAINING = LrRule(0.06, 512, 'pretraining by CLIM or MoCo')  # [paper A.1; moco: 0.03 for 256]
LINEAR = LrRule(30.0, 256, 'linear classifiers on what CLIM or MoCo has pretrained')  # [paper 4.1; moco]


def rule_for(rule: Optional[LrRule], lr_of_512: Optional[float]) -> Optional[LrRule]:
    """``rule``, that of a training's kind; unless the user has one, or wants none."""
    if lr_of_512 is None or lr_of_512 == PRETRAINING.lr:
        return None if lr_of_512 is None else rule
    return replace(PRETRAINING, lr=lr_of_512, kind='lr_of_512 of the PreflightHook')


def check_settings(settings: Settings, lr_rule: Optional[LrRule]) -> Iterator[Finding]:
    """Find settings that do not fit each other or the number of images, the learning rate by its rule, if any."""
    if settings.steps == 0:
        yield Finding('steps', (
            f'{settings.num_images} images are fewer than one batch of {settings.batch_size} on each of '
            f'{settings.processes} process(es), and drop_last leaves it out, so that nothing is trained: lower '
            'train_dataloader.batch_size.'))
    for schedule in settings.schedules:
        yield from _check_schedule(schedule, settings)
    if lr_rule is not None:
        yield from _check_lr(settings, lr_rule)
    yield from _check_contrast(settings)
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


def _check_schedule(schedule: Schedule, settings: Settings) -> Iterator[Finding]:
    epochs = schedule.by_epoch
    end, unit = (settings.max_epochs, 'epoch') if epochs else (settings.max_epochs * settings.steps, 'iteration')
    late = [milestone for milestone in schedule.milestones if milestone >= min(end, schedule.end)]
    if late:
        yield Finding('schedule', (
            f'{schedule.name} lowers the learning rate at {unit} {late[0]}, but it ends at {min(end, schedule.end)}: '
            'move its milestones or train_cfg.max_epochs.'))
    bottom = schedule.cosine_ends
    if bottom is None:
        return
    goes_on = any(other.by_epoch == epochs and other.begin >= bottom for other in settings.schedules)
    if bottom > min(end, schedule.end) or (bottom < end and not goes_on):
        yield Finding('schedule', (
            f'{schedule.name} reaches its lowest rate at {unit} {bottom} and is in force until {schedule.end}, but the '
            f'training ends at {end}: leave out its T_max and end, which then follow the training.'))


def _check_lr(settings: Settings, lr_rule: LrRule) -> Iterator[Finding]:
    rule = lr_rule.of(settings.images_per_step)
    if settings.optimizer != 'SGD' or rule / _LR_FACTOR <= settings.lr <= rule * _LR_FACTOR:
        return
    ratio = settings.lr / rule
    compared = f'{ratio:.3g} times' if ratio > 1 else f'1/{1 / ratio:.3g} of' if ratio else '0 instead of'
    yield Finding('lr', (
        f'The learning rate {settings.lr:g} is {compared} the {rule:.3g} of the rule {lr_rule.lr:g} x images per step '
        f'/ {lr_rule.images}, with {settings.images_per_step} images in a step (the rule is for {lr_rule.kind}): set '
        f'optim_wrapper.optimizer.lr={rule:.3g}, or, if it was found by trying, lr_of_512=None of the PreflightHook.'))


def _check_contrast(settings: Settings) -> Iterator[Finding]:
    """The queue, the momentum encoder, and batch statistics that give the positive away."""
    if settings.queue_len is not None and settings.queue_len > settings.num_images:
        most = max(settings.batch_size * settings.processes, settings.num_images // 8)
        yield Finding('queue', (
            f'The queue of {settings.queue_len} keys is longer than the training set of {settings.num_images} images, '
            f'so that it holds old keys of every image: set model.queue_len to at most about {most}.'))
    total = ceil(settings.steps / settings.accumulation) * settings.max_epochs  # an epoch ends with a step
    if settings.momentum is not None and total:
        lag = 1 / (1 - settings.momentum) if settings.momentum < 1 else float('inf')
        if lag > _MOMENTUM_SHARE * total:
            yield Finding('momentum', (
                f'The momentum encoder follows within {lag:.0f} steps, but the training has only {total}: set '
                f'model.momentum={max(0.0, 1 - 1 / max(1.0, 0.1 * total)):.3g}, or train for longer.'))
    alone = settings.processes == 1 and settings.bn_splits is None
    if settings.queue_len is not None and settings.batch_norm and alone:
        yield Finding('batch_norm', (
            'In one process the batch statistics of the query and of its key come from the same images and can give '
            'the positive away: train with two processes or more, or with CLIM\'s model.bn_splits=8.'))


def check_resources(facts: Facts) -> Iterator[Finding]:
    """Find what the images, the times, the memory and the disk do not allow."""
    settings, plan, machine = facts.settings, facts.forecast, facts.machine
    if (images := facts.images) is not None and images.unreadable:
        yield Finding('unreadable', (
            f'{images.unreadable} of {images.opened} images that were opened cannot be read, such as '
            f'{images.first_unreadable}: replace them or take them out of the data folder.'))
    loading = facts.measured.loading
    if loading is not None and plan.compute is not None and (plan.load or 0) > _LOADING_FACTOR * plan.compute:
        needed = max(1, ceil(settings.batch_size * loading.seconds / plan.compute))
        remedy = f'set train_dataloader.num_workers={needed}'
        if needed * settings.local_processes > machine.cores:
            remedy = (f'{needed} workers in each of {settings.local_processes} process(es) would keep up, but this '
                      f'machine has {machine.cores} cores, so store smaller images, or train on more cores')
        yield Finding('loading', (
            f'Loading is slower than the model: {settings.num_workers} worker(s) need {duration(plan.load)} for a '
            f'batch of {settings.batch_size}, and the model {duration(plan.compute)}: {remedy}.'))
    yield from _check_refresh(facts)
    interval, epoch = settings.checkpoint_interval, plan.epoch
    if interval and epoch and interval <= settings.max_epochs and interval * epoch > _DAY:
        yield Finding('checkpoint_time', (
            f'From one checkpoint to the next it is {duration(interval * epoch)}, which a training that breaks off '
            f'loses: set default_hooks.checkpoint.interval={max(1, int(_DAY / epoch))}.'))
    if machine.gpu_memory is not None and plan.training_bytes > _GPU_SHARE * machine.gpu_memory:
        yield Finding('gpu_memory', (
            f'Training needs {amount(plan.training_bytes)} on a GPU of {amount(machine.gpu_memory)}: lower '
            'train_dataloader.batch_size and raise optim_wrapper.accumulative_counts, or train in mixed precision '
            'with --amp.'))
    if machine.free_disk is not None and plan.disk_bytes > machine.free_disk:
        yield Finding('disk', (
            f'The checkpoints need {amount(plan.disk_bytes)}, and {amount(machine.free_disk)} are free where they go: '
            'make room, or set default_hooks.checkpoint.max_keep_ckpts lower.'))


def _check_refresh(facts: Facts) -> Iterator[Finding]:
    refresh, settings, free = facts.forecast.refresh, facts.settings.refresh, facts.machine.free_memory
    if refresh is None or settings is None:
        return
    if refresh.share is not None and refresh.share > _REFRESH_SHARE:
        faster = ', or set its `exact=False`' if settings.exact and refresh.search > refresh.seconds / 2 else ''
        yield Finding('refresh_share', (
            f'Refreshes take {refresh.share:.0%} of the time, {duration(refresh.seconds)} each: raise `interval` of '
            f'default_hooks.neighbors, now {settings.interval}{faster}.'))
    if free is not None and refresh.host_bytes > free:
        remedy = 'take features from layer="embedding", or ' if settings.layer == 'pooled' else ''
        yield Finding('host_memory', (
            f'A refresh needs {amount(refresh.host_bytes)} of memory for features and index, and {amount(free)} are '
            f'free: {remedy}train on a machine with more memory.'))
