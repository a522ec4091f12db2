"""What this machine, its disk and the images do not allow."""

from collections.abc import Iterator

from clim_mm.datasets.transforms.load_image import DARK, loss_of_depth

from .estimates import workers_needed
from .facts import Facts, Finding
from .image_sample import FURTHER_BAND
from .units import amount, duration

# [ours] What is called wrong.
_DAY = 86400.0
_REFRESH_SHARE = 0.10  # of the training's time
_GPU_SHARE = 0.95  # of the GPU's memory
_LOADING_FACTOR = 1.1  # slower than the model


def check_resources(facts: Facts) -> Iterator[Finding]:
    """Go through images, times, memory and disk."""
    yield from _check_images(facts)
    yield from _check_loading(facts)
    yield from _check_refresh_time(facts)
    yield from _check_checkpoint_time(facts)
    yield from _check_host_memory(facts)
    yield from _check_gpu_memory(facts)
    yield from _check_disk(facts)


def _check_images(facts: Facts) -> Iterator[Finding]:
    images = facts.images
    if images is not None and images.unreadable:
        yield Finding('unreadable', (
            f'{images.unreadable} of {images.opened} images that were opened cannot be read, such as '
            f'{images.first_unreadable}: replace them or take them out of the data folder.'))


    if images is not None and images.deep_largest is not None and images.deep_largest < DARK:
        yield Finding('depth', f'Each image of 16 bits that was opened {loss_of_depth(images.deep_largest)}.')
    if images is not None and (number := images.odd_modes.get(FURTHER_BAND)):
        yield Finding('bands', (
            f'{number} of {images.opened} images that were opened have a further band beside their colours, such as '
            'infrared, which is left out: store the three bands that are to be seen, if these are not they.'))


def _check_loading(facts: Facts) -> Iterator[Finding]:
    settings, machine = facts.settings, facts.machine
    compute, load, loading = facts.forecast.compute, facts.forecast.load, facts.measured.loading
    if compute is None or load is None or loading is None or load <= _LOADING_FACTOR * compute:
        return
    needed = workers_needed(compute, loading.seconds, settings.batch_size)
    remedy = f'set train_dataloader.num_workers={needed}'
    if needed * settings.local_processes > machine.cores:
        remedy = (f'{needed} workers in each of {settings.local_processes} process(es) would keep up, but this machine '
                  f'has {machine.cores} cores, so store smaller images, or train on more cores')
    yield Finding('loading', (
        f'Loading is slower than the model: {settings.num_workers} worker(s) need {duration(load)} for a batch of '
        f'{settings.batch_size}, and the model {duration(compute)}: {remedy}.'))


def _check_refresh_time(facts: Facts) -> Iterator[Finding]:
    refresh, settings = facts.forecast.refresh, facts.settings.refresh
    if refresh is None or settings is None or refresh.share is None or refresh.share <= _REFRESH_SHARE:
        return
    remedies = [f'raise `interval` of the CenterWiseNeighborHook, now {settings.interval}']
    if settings.exact and refresh.search > refresh.later_seconds / 2:
        remedies.append('set its `exact=False`')
    yield Finding('refresh_share', (
        f'Refreshes take {refresh.share:.0%} of the time, {duration(refresh.later_seconds)} each: '
        f'{", or ".join(remedies)}.'))


def _check_checkpoint_time(facts: Facts) -> Iterator[Finding]:
    interval, epoch = facts.settings.checkpoint_interval, facts.forecast.epoch
    if interval is None or epoch is None or interval > facts.settings.max_epochs:
        return
    if interval * epoch > _DAY:
        yield Finding('checkpoint_time', (
            f'From one checkpoint to the next it is {duration(interval * epoch)}, which a training that breaks off '
            f'loses: set default_hooks.checkpoint.interval={max(1, int(_DAY / epoch))}.'))


def _check_host_memory(facts: Facts) -> Iterator[Finding]:
    refresh, free = facts.forecast.refresh, facts.machine.free_memory
    if refresh is None or free is None or refresh.host_bytes <= free:
        return
    layer = facts.settings.refresh.layer if facts.settings.refresh is not None else ''
    remedy = 'take features from layer="embedding", or ' if layer == 'pooled' else ''
    yield Finding('host_memory', (
        f'A refresh needs {amount(refresh.host_bytes)} of memory for features and index, and {amount(free)} are free: '
        f'{remedy}train on a machine with more memory.'))


def _check_gpu_memory(facts: Facts) -> Iterator[Finding]:
    needed, there = facts.forecast.training_bytes, facts.machine.gpu_memory
    if there is not None and needed > _GPU_SHARE * there:
        yield Finding('gpu_memory', (
            f'Training needs {amount(needed)} on a GPU of {amount(there)}: lower train_dataloader.batch_size and raise '
            'optim_wrapper.accumulative_counts, or train in mixed precision with --amp.'))


def _check_disk(facts: Facts) -> Iterator[Finding]:
    needed, free = facts.forecast.disk_bytes, facts.machine.free_disk
    if free is not None and needed > free:
        yield Finding('disk', (
            f'The checkpoints need {amount(needed)}, and {amount(free)} are free where they go: make room, or set '
            'default_hooks.checkpoint.max_keep_ckpts lower.'))
