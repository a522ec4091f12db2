"""Settings that do not fit each other or the number of images."""

from collections.abc import Iterator
from typing import Optional

from . import estimates
from .facts import Facts, Finding
from .lr_rules import LrRule
from .schedules import Schedule
from .settings import Settings

# [ours] What is called wrong.
_LR_FACTOR = 1.5
_MOMENTUM_SHARE = 0.2  # of the training's steps


def check_settings(facts: Facts, lr_rule: Optional[LrRule]) -> Iterator[Finding]:
    """Go through them.

    Args:
        facts: Of the training.
        lr_rule: Of the learning rate for this kind of training; None for no check.
    """
    settings = facts.settings
    yield from _check_steps(settings)
    for schedule in settings.schedules:
        yield from _check_schedule(schedule, settings)
    if lr_rule is not None:
        yield from _check_lr(settings, lr_rule)
    yield from _check_queue(settings)
    yield from _check_momentum(settings)
    yield from _check_batch_norm(settings)
    if settings.unit_values:
        yield Finding('normalization', (
            'Images have values from 0 to 255, and mean and std of the data_preprocessor are for values from 0 to 1: '
            'multiply both by 255.'))
    yield from _check_refresh(settings)
    yield from _check_checkpoints(facts)


def _check_steps(settings: Settings) -> Iterator[Finding]:
    if settings.steps == 0:
        yield Finding('steps', (
            f'{settings.num_images} images are fewer than one batch of {settings.batch_size} on each of '
            f'{settings.processes} process(es), and drop_last leaves it out, so that nothing is trained: lower '
            'train_dataloader.batch_size.'))


def _check_schedule(schedule: Schedule, settings: Settings) -> Iterator[Finding]:
    epochs = schedule.by_epoch
    end, unit = (settings.max_epochs, 'epoch') if epochs else (settings.max_epochs * settings.steps, 'iteration')
    late = [milestone for milestone in schedule.milestones if milestone >= min(end, schedule.end)]
    if late:
        yield Finding('schedule', (
            f'{schedule.name} lowers the learning rate at {unit} {late[0]}, but it ends at {min(end, schedule.end)}: '
            'move its milestones or train_cfg.max_epochs.'))
    if schedule.cosine_ends is None:
        return
    bottom = min(schedule.cosine_ends, schedule.end)
    goes_on = any(other.by_epoch == epochs and other.begin >= bottom for other in settings.schedules)
    if bottom < end and not goes_on:
        yield Finding('schedule', (
            f'{schedule.name} ends at {unit} {bottom} of {end}, and the learning rate stays there for the rest: leave '
            'out its T_max and end, which then follow the training.'))
    if schedule.cosine_ends > min(end, schedule.end):
        yield Finding('schedule', (
            f'{schedule.name} would reach its lowest rate at {unit} {schedule.cosine_ends}, but it ends at '
            f'{min(end, schedule.end)}: leave out its T_max and end, which then follow the training.'))


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


def _check_queue(settings: Settings) -> Iterator[Finding]:
    if settings.queue_len is None:
        return
    keys = settings.batch_size * settings.processes
    if settings.queue_must_divide and settings.queue_len % keys:
        yield Finding('queue_multiple', (
            f'{settings.model} needs a queue that is a multiple of the {keys} keys of a step, and model.queue_len is '
            f'{settings.queue_len}: set it to {max(1, settings.queue_len // keys) * keys}.'))
    if settings.queue_len > settings.num_images:
        yield Finding('queue', (
            f'The queue of {settings.queue_len} keys is longer than the training set of {settings.num_images} images, '
            'so that it holds old keys of every image: set model.queue_len to at most about '
            f'{max(keys, settings.num_images // 8)}.'))


def _check_momentum(settings: Settings) -> Iterator[Finding]:
    total = estimates.optimizer_steps(settings.steps, settings.max_epochs, settings.accumulation)
    if settings.momentum is None or total == 0:
        return
    lag = 1 / (1 - settings.momentum) if settings.momentum < 1 else float('inf')
    if lag > _MOMENTUM_SHARE * total:
        fitting = max(0.0, 1 - 1 / max(1.0, 0.1 * total))
        yield Finding('momentum', (
            f'The momentum encoder follows within {lag:.0f} steps, but the training has only {total}: set '
            f'model.momentum={fitting:.3g}, or train for longer.'))


def _check_batch_norm(settings: Settings) -> Iterator[Finding]:
    alone = settings.processes == 1 and settings.bn_splits is None
    if settings.queue_len is not None and settings.batch_norm and alone:
        yield Finding('batch_norm', (
            'In one process the batch statistics of the query and of its key come from the same images and can give '
            'the positive away: train with two processes or more' +
            (', or with CLIM\'s model.bn_splits.' if settings.queue_must_divide else ', or set model.bn_splits=8.')))


def _check_refresh(settings: Settings) -> Iterator[Finding]:
    if settings.refresh is not None and settings.refresh.begin >= settings.max_epochs:
        yield Finding('refresh_begin', (
            f'The first refresh is due at epoch {settings.refresh.begin}, and the training has {settings.max_epochs}, '
            'so that no image ever has a positive: lower `begin` of the CenterWiseNeighborHook.'))


def _check_checkpoints(facts: Facts) -> Iterator[Finding]:
    settings = facts.settings
    interval = settings.checkpoint_interval or float('inf')
    if interval > settings.max_epochs and settings.max_epochs > 1:
        yield Finding('checkpoint_interval', (
            f'No checkpoint is due before the end of the {settings.max_epochs} epochs, so that a training that breaks '
            'off loses everything: set default_hooks.checkpoint.interval to a few epochs.'))
