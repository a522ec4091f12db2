"""The plan of a training, for people and for machines."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Optional

from .facts import Facts, Finding
from .measure import Step
from .units import amount, counted, duration

_NAME_WIDTH, _LINE_WIDTH = 18, 110
_SURE = 1.5  # times the fastest step that the slowest may take before the plan says that it is unsure


@dataclass(frozen=True)
class Plan:
    """What a training will take, and what looks wrong.

    Attributes:
        name: Of the training.
        facts: All that is known.
        findings: What looks wrong; empty if nothing does.
    """

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


def _wrapped(start: str, text: str) -> str:
    """``text`` after ``start``, in lines below each other; paths and settings stay whole."""
    return textwrap.fill(
        text, _LINE_WIDTH, initial_indent=start, subsequent_indent=' ' * len(start), break_long_words=False,
        break_on_hyphens=False)


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    yield 'machine', _machine(facts)
    yield 'images', _images(facts)
    yield 'epochs', _epochs(facts)
    yield 'batch', _batch(facts)
    yield 'learning rate', _learning_rate(facts)
    if facts.settings.queue_len is not None:
        yield 'queue', (f'K = {facts.settings.queue_len:,} keys of {facts.settings.key_dim} dimensions; the momentum '
                        f'encoder keeps {facts.settings.momentum:.6g} of itself')
    yield 'neighbours', _neighbours(facts)
    yield 'memory, training', _training_memory(facts)
    if facts.forecast.refresh is not None:
        yield 'memory, refresh', _refresh_memory(facts)
    yield 'time of a step', _step_time(facts)
    if facts.forecast.refresh is not None:
        yield 'time of a refresh', _refresh_time(facts)
    yield 'time in all', _total_time(facts)
    yield 'disk', _disk(facts)
    yield 'measured', _measured(facts)


def _machine(facts: Facts) -> str:
    machine = facts.machine
    gpu = f'{machine.gpu} with {amount(machine.gpu_memory)}, ' if machine.gpu else 'no GPU, '
    return f'{gpu}{counted(machine.cores, "core")}, {amount(machine.free_memory)} of memory free'


def _images(facts: Facts) -> str:
    images, number = facts.images, f'N = {facts.settings.num_images:,}'
    if images is None:
        return f'{number}; none opened, since the data set does not tell their paths'
    opened = f'{number}; {images.opened} opened: {images.unreadable or "none"} unreadable'
    left_out = f'; left out: {images.left_out}' if images.left_out else ''
    if images.smallest is None or images.largest is None:
        return f'{opened}{left_out}'
    sizes = ' to '.join(dict.fromkeys(f'{width} x {height}' for width, height in (images.smallest, images.largest)))
    odd = ''.join(f', {number} {mode}' for mode, number in sorted(images.odd_modes.items()))
    return f'{opened}, {sizes} pixels, {amount(images.mean_bytes)} each{odd}{left_out}'


def _epochs(facts: Facts) -> str:
    settings = facts.settings
    start = f', from epoch {settings.start_epoch} on' if settings.start_epoch else ''
    return (f'{settings.max_epochs:,} of {counted(settings.steps, "step")}: '
            f'{counted(settings.max_epochs * settings.steps, "step")}{start}')


def _batch(facts: Facts) -> str:
    settings = facts.settings
    accumulated = f' x {settings.accumulation} accumulated' if settings.accumulation > 1 else ''
    splits = f'; batch statistics in up to {settings.bn_splits} groups' if settings.bn_splits else ''
    return (f'{counted(settings.images_per_step, "image")} = {settings.batch_size} x '
            f'{counted(settings.processes, "process", "processes")}{accumulated}{splits}')


def _learning_rate(facts: Facts) -> str:
    names = ', '.join(schedule.name for schedule in facts.settings.schedules) or 'no schedule'
    return f'{facts.settings.lr:g}, {facts.settings.optimizer}, {names}'


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
    parts = [
        ('parameters', sizes.trainable), ('gradients', sizes.trainable), ('optimizer', plan.optimizer_bytes),
        ('momentum encoder' if facts.settings.queue_len is not None else 'frozen', sizes.frozen),
        ('queue', sizes.queue), ('activations', plan.activation_bytes)
    ]
    known = ', '.join(f'{name} {amount(size)}' for name, size in parts if size)
    without = '' if plan.activation_bytes is not None else '; activations were not measured'
    return f'{amount(plan.training_bytes)} in each process: {known}{without}'


def _refresh_memory(facts: Facts) -> str:
    refresh = facts.forecast.refresh
    assert refresh is not None
    return (f'{amount(refresh.host_bytes)} at most on this machine; features N x {refresh.dim} '
            f'{amount(refresh.feature_bytes)}, index {amount(refresh.index_bytes)}'
            f'{" on each GPU" if facts.measured.search and facts.measured.search.on_gpu else ""}, tables '
            f'{amount(refresh.table_bytes)}')


def _step_time(facts: Facts) -> str:
    plan = facts.forecast
    if plan.step is None:
        return 'not measured'
    return (f'{duration(plan.step)}: model {duration(plan.compute)}{_doubt(facts.measured.step)}, loading '
            f'{duration(plan.load)} by {counted(facts.settings.num_workers, "worker")}')


def _doubt(step: Optional[Step]) -> str:
    if step is None or step.slowest < _SURE:
        return ''
    return f' (unsure: equal steps took up to {step.slowest:.1f} times as long, as on a machine with other work)'


def _refresh_time(facts: Facts) -> str:
    refresh = facts.forecast.refresh
    assert refresh is not None
    share = f'; {refresh.share:.1%} of the time' if refresh.share is not None else ''
    if refresh.bank_bytes:
        first = f' and {duration(refresh.extract)} for an extraction at the first' if refresh.extractions else ''
        return (f'{duration(refresh.later_seconds)}: clustering {duration(refresh.cluster)}, search '
                f'{duration(refresh.search)}{first}{share}; {amount(refresh.bank_bytes)} on the disk for the bank')
    return (f'{duration(refresh.seconds)}: extraction {duration(refresh.extract)}, clustering '
            f'{duration(refresh.cluster)}, search {duration(refresh.search)}{share}')


def _total_time(facts: Facts) -> str:
    plan, refresh = facts.forecast, facts.settings.refresh
    if plan.training is None:
        return 'not measured'
    refreshes = f' and {counted(refresh.num_refreshes, "refresh", "refreshes")}' if refresh is not None else ''
    epochs = facts.settings.max_epochs - facts.settings.start_epoch
    return f'{duration(plan.training)}: {counted(epochs, "epoch")} of {duration(plan.epoch)}{refreshes}'


def _disk(facts: Facts) -> str:
    plan, interval = facts.forecast, facts.settings.checkpoint_interval
    every = 'at the end'
    if interval is not None:
        every = 'every epoch' if interval == 1 else f'every {interval:.3g} epochs'
    return (f'{amount(plan.disk_bytes)} for checkpoints of {amount(plan.checkpoint_bytes)} {every}, '
            f'{amount(facts.machine.free_disk)} free')


def _measured(facts: Facts) -> str:
    measured = facts.measured
    parts = []
    if measured.loading is not None:
        parts.append(f'loading by {counted(measured.loading.samples, "sample")}')
    if measured.step is not None:
        parts.append(f'the model by {counted(measured.step.steps, "step")} of '
                     f'{counted(measured.step.images, "image")}')
    if measured.extraction is not None:
        parts.append(f'extraction by {counted(measured.extraction.images, "image")}')
    if measured.search is not None:
        parts.append('search by a block of random vectors')
    text = ', '.join(parts) or 'nothing'
    return f'{text}. {measured.missing}' if measured.missing else text
