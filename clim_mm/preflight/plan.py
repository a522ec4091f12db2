"""The plan of a training: made from its Runner, and printed for people and for machines."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine import dist
from mmengine.runner import Runner

from clim_mm.datasets.transforms.load_image import loader_of
from clim_mm.protocols import RefreshesNeighbors

from .checks import Facts, Finding, LrRule, check_resources, check_settings
from .forecast import forecast
from .image_sample import sample_images, source_of
from .machine import this_machine
from .measure import measure
from .rehearsal import untouched_randomness
from .settings import read_settings
from .units import amount, counted, duration

NUM_IMAGES, SECONDS = 64, 10.0  # where nothing else is set [ours]
_FOR_IMAGES = 0.2  # share of the time
_NAME_WIDTH, _LINE_WIDTH = 18, 110
_SURE = 1.5  # times the fastest step that the slowest may take before the plan says that it is unsure


@dataclass(frozen=True)
class Plan:
    """What a training will take, and what looks wrong."""

    name: str
    facts: Facts
    findings: tuple[Finding, ...]

    def table(self) -> str:
        """A line for each thing to know."""
        rows = (_wrapped(f'  {name:{_NAME_WIDTH}}', text) for name, text in _rows(self.facts))
        return '\n'.join([f'Preflight of {self.name}', *rows])

    def verdict(self) -> str:
        """What looks wrong, a line each."""
        if not self.findings:
            return 'Nothing looks wrong.'
        return '\n'.join(['Looks wrong:', *(_wrapped('  - ', finding.sentence) for finding in self.findings)])

    def text(self) -> str:
        """The table and the verdict."""
        return f'{self.table()}\n{self.verdict()}'

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values: bytes and seconds."""
        return dict(name=self.name, **asdict(self.facts), findings=[asdict(finding) for finding in self.findings])


def survey(runner: Runner, neighbor_hook: Optional[RefreshesNeighbors] = None, processes: Optional[int] = None,
           checkpoints: Optional[str] = None, num_images: int = NUM_IMAGES, seconds: float = SECONDS,
           lr_rule: Optional[LrRule] = None) -> Plan:
    """Look at the images, measure a few steps, and plan the training. All processes call it together.

    Weights, statistics, queue, optimizer, random generators, dataset and DataLoader stay as they were.

    Args:
        runner: In ``before_train``, with a train loop by epochs and one optimizer.
        processes: Of the training that is planned. None takes those that run.
        checkpoints: The folder they go to. None takes the Runner's work dir.
        num_images: Images to open.
        seconds: For all measurements, about; each part is made once to warm up and twice to be measured nevertheless.
        lr_rule: None for no check of the learning rate.

    Returns:
        The plan; complete on the first process.

    Raises:
        ConfigError: If a GPU of several processes has no memory for two images.
    """
    settings = read_settings(runner, neighbor_hook, processes)
    device = next(runner.model.parameters()).device
    machine = this_machine(device, checkpoints or runner.work_dir)
    with untouched_randomness(device):
        dataset = runner.train_dataloader.dataset
        source, images = source_of(dataset), None
        if dist.is_main_process() and source is not None and 'img_path' in source.get_data_info(0):
            images = sample_images(source, num_images, runner.seed, _FOR_IMAGES * seconds, loader_of(dataset))
        from_first = [images]
        dist.broadcast_object_list(from_first)
        images = from_first[0]
        measured = measure(runner, settings, images, neighbor_hook, machine.cores, (1 - _FOR_IMAGES) * seconds)
    all_readable = images is None or not images.unreadable
    facts = Facts(settings, images, measured, forecast(settings, measured, machine.cores, all_readable), machine)
    name = Path(runner.cfg.filename).stem if runner.cfg.filename else runner.experiment_name
    return Plan(name, facts, (*check_settings(settings, lr_rule), *check_resources(facts)))


def _wrapped(start: str, text: str) -> str:
    """``text`` after ``start``, in lines below each other; paths and settings stay whole."""
    return textwrap.fill(
        text, _LINE_WIDTH, initial_indent=start, subsequent_indent=' ' * len(start), break_long_words=False,
        break_on_hyphens=False)


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    settings, plan, machine = facts.settings, facts.forecast, facts.machine
    gpu = f'{machine.gpu} with {amount(machine.gpu_memory)}' if machine.gpu else 'no GPU'
    yield 'machine', f'{gpu}, {counted(machine.cores, "core")}, {amount(machine.free_memory)} of memory free'
    yield 'images', f'N = {settings.num_images:,}; {_images(facts)}'
    start = f', from epoch {settings.start_epoch} on' if settings.start_epoch else ''
    yield 'epochs', (f'{settings.max_epochs:,} of {counted(settings.steps, "step")}: '
                     f'{counted(settings.max_epochs * settings.steps, "step")}{start}')
    accumulated = f' x {settings.accumulation} accumulated' if settings.accumulation > 1 else ''
    splits = f'; batch statistics in up to {settings.bn_splits} groups' if settings.bn_splits else ''
    yield 'batch', (f'{counted(settings.images_per_step, "image")} = {settings.batch_size} x '
                    f'{counted(settings.processes, "process", "processes")}{accumulated}{splits}')
    names = ', '.join(schedule.name for schedule in settings.schedules) or 'no schedule'
    yield 'learning rate', f'{settings.lr:g}, {settings.optimizer}, {names}'
    if settings.queue_len is not None:
        yield 'queue', f'K = {settings.queue_len:,} keys of {settings.key_dim} dimensions'
    if settings.momentum is not None:
        yield 'momentum encoder', f'keeps {settings.momentum:.6g} of itself at each step'
    yield 'neighbours', _neighbours(facts)
    yield 'memory, training', _training_memory(facts)
    if (refresh := plan.refresh) is not None:
        each = ' on each GPU' if facts.measured.search and facts.measured.search.on_gpu else ''
        yield 'memory, refresh', (
            f'{amount(refresh.host_bytes)} at most on this machine; features N x {refresh.dim} '
            f'{amount(refresh.feature_bytes)}, index {amount(refresh.index_bytes)}{each}, tables '
            f'{amount(refresh.table_bytes)}')
    yield 'time of a step', _step_time(facts)
    if plan.refresh is not None:
        yield 'time of a refresh', _refresh_time(facts)
    refreshes = ''
    if settings.refresh is not None:
        refreshes = f' and {counted(settings.refresh.num_refreshes, "refresh", "refreshes")}'
    epochs = counted(settings.max_epochs - settings.start_epoch, 'epoch')
    yield 'time in all', 'not measured' if plan.training is None else (
        f'{duration(plan.training)}: {epochs} of {duration(plan.epoch)}{refreshes}')
    every = 'at the end'
    if (interval := settings.checkpoint_interval) is not None:
        every = 'every epoch' if interval == 1 else f'every {interval:.3g} epochs'
    yield 'disk', (f'{amount(plan.disk_bytes)} for checkpoints of {amount(plan.checkpoint_bytes)} {every}, '
                   f'{amount(machine.free_disk)} free')
    yield 'measured', _measured(facts)


def _images(facts: Facts) -> str:
    images = facts.images
    if images is None:
        return 'none opened, since the data set does not tell their paths'
    text = f'{images.opened} opened: {images.unreadable or "none"} unreadable'
    if images.smallest is not None and images.largest is not None:
        sizes = ' to '.join(dict.fromkeys(f'{width} x {height}' for width, height in (images.smallest, images.largest)))
        text += f', {sizes} pixels, {amount(images.mean_bytes)} each'
    return f'{text}; left out: {images.left_out}' if images.left_out else text


def _neighbours(facts: Facts) -> str:
    refresh = facts.settings.refresh
    if refresh is None:
        return 'none'
    kind = 'exact' if refresh.exact else f'in {refresh.nprobe} of the clusters'
    return (f'm = {refresh.num_clusters:,} clusters, k = {refresh.num_neighbors} neighbours ({kind}), P = '
            f'{refresh.num_positives} positives by {refresh.strategy}; every '
            f'{counted(refresh.interval, "epoch")} from epoch {refresh.begin} on')


def _training_memory(facts: Facts) -> str:
    sizes, plan = facts.settings.model_sizes, facts.forecast
    parts = {
        'parameters': sizes.trainable, 'gradients': sizes.trainable, 'optimizer': plan.optimizer_bytes,
        'momentum encoder': sizes.momentum_encoder, 'queue': sizes.queue, 'frozen and buffers': sizes.other,
        'activations': plan.activation_bytes
    }
    known = ', '.join(f'{name} {amount(size)}' for name, size in parts.items() if size)
    without = '' if plan.activation_bytes is not None else '; activations were not measured'
    return f'{amount(plan.training_bytes)} in each process: {known}{without}'


def _step_time(facts: Facts) -> str:
    plan, step = facts.forecast, facts.measured.step
    if plan.step is None or step is None:
        return 'not measured'
    doubt = ''
    if step.slowest >= _SURE:
        doubt = f' (unsure: equal steps took up to {step.slowest:.1f} times as long, as on a machine with other work)'
    return (f'{duration(plan.step)}: model {duration(plan.compute)}{doubt}, loading {duration(plan.load)} by '
            f'{counted(facts.settings.num_workers, "worker")}')


def _refresh_time(facts: Facts) -> str:
    refresh: Any = facts.forecast.refresh
    share = f'; {refresh.share:.1%} of the time' if refresh.share is not None else ''
    extraction, first = f'extraction {duration(refresh.extract)}, ', ''
    if refresh.bank_bytes:
        first = f' and {duration(refresh.extract)} for an extraction at the first' if refresh.extractions else ''
        extraction, share = '', f'{share}; {amount(refresh.bank_bytes)} on the disk for the bank'
    return (f'{duration(refresh.seconds)}: {extraction}clustering {duration(refresh.cluster)}, search '
            f'{duration(refresh.search)}{first}{share}')


def _measured(facts: Facts) -> str:
    measured, step = facts.measured, facts.measured.step
    text = ', '.join(filter(None, [
        f'loading by {counted(measured.loading.samples, "sample")}' if measured.loading else '',
        f'the model by {counted(step.steps, "step")} of {counted(step.images, "image")}' if step else '',
        f'extraction by {counted(measured.extraction.images, "image")}' if measured.extraction else '',
        'search by a block of random vectors' if measured.search else ''
    ])) or 'nothing'
    return f'{text}. {measured.missing}' if measured.missing else text
