"""The plan of a training: made from its Runner, and printed for people and for machines."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from mmengine.runner import Runner

from clim_mm.protocols import RefreshesNeighbors

from .checks import Facts, Finding, check_resources, check_schedules, check_settings
from .forecast import amount, duration, forecast, this_machine
from .measure import measure
from .rehearsal import untouched_randomness
from .settings import read_settings

NUM_IMAGES, SECONDS = 64, 10.0  # where nothing else is set [ours]
_NAME_WIDTH, _LINE_WIDTH = 18, 110


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

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values: bytes and seconds."""
        return dict(name=self.name, **asdict(self.facts), findings=[asdict(finding) for finding in self.findings])


def survey(runner: Runner, neighbor_hook: Optional[RefreshesNeighbors] = None, processes: Optional[int] = None,
           checkpoints: Optional[str] = None, num_images: int = NUM_IMAGES, seconds: float = SECONDS) -> Plan:
    """Make some samples, measure a few steps, and plan the training. All processes call it together.

    Weights, statistics, queue, optimizer, random generators, dataset and DataLoader stay as they were. The plan is
    complete on the first process. An error of a step is told in the plan; in several processes it is raised.

    Args:
        runner: In ``before_train``, with a train loop by epochs and one optimizer.
        processes: Number of processes that the planned training will have. None takes those that run.
        checkpoints: The folder they go to. None takes the Runner's work dir.
        num_images: Samples to make.
        seconds: For all measurements, about; each part is made once to warm up and twice to be measured nevertheless.
    """
    settings = read_settings(runner, neighbor_hook, processes)
    device = next(runner.model.parameters()).device
    machine = this_machine(device, checkpoints or runner.work_dir)
    with untouched_randomness(device):
        measured = measure(runner, settings, neighbor_hook, num_images, machine.cores, seconds)
    facts = Facts(settings, measured, forecast(settings, measured, machine.cores), machine)
    name = Path(runner.cfg.filename).stem if runner.cfg.filename else runner.experiment_name
    return Plan(name, facts, (*check_settings(settings), *check_schedules(runner), *check_resources(facts)))


def _wrapped(start: str, text: str) -> str:
    """``text`` after ``start``, in lines below each other; paths and settings stay whole."""
    return textwrap.fill(
        text, _LINE_WIDTH, initial_indent=start, subsequent_indent=' ' * len(start), break_long_words=False,
        break_on_hyphens=False)


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    settings, measured, plan, machine = facts.settings, facts.measured, facts.forecast, facts.machine
    gpu = f'{machine.gpu} with {amount(machine.gpu_memory)}' if machine.gpu else 'no GPU'
    yield 'machine', f'{gpu}, {machine.cores} cores, {amount(machine.free_memory)} of memory free'
    yield 'images', (f'N = {settings.num_images:,}; {measured.samples} samples made: '
                     f'{len(measured.unreadable) or "no"} unreadable images')
    start = f', from epoch {settings.start_epoch} on' if settings.start_epoch else ''
    yield 'epochs', f'{settings.max_epochs:,} of {settings.steps:,} steps{start}'
    yield 'batch', (f'{settings.batch_size} in each process, {settings.images_per_step} for an optimizer step '
                    f'(processes: {settings.processes}, accumulated: {settings.accumulation})')
    names = ', '.join(settings.schedules) or 'no schedule'
    yield 'learning rate', f'{settings.lr:g}, {settings.optimizer}, {names}'
    if settings.queue_len is not None:
        yield 'queue', f'K = {settings.queue_len:,} keys'
    if settings.momentum is not None:
        yield 'momentum encoder', f'keeps {settings.momentum:.6g} of itself at each step'
    neighbours = 'none'
    if (found := settings.refresh) is not None:
        kind = 'exact' if found.exact else f'in {found.nprobe} of the clusters'
        neighbours = (f'm = {found.num_clusters:,} clusters, k = {found.num_neighbors} neighbours ({kind}), P = '
                      f'{found.num_positives} positives by {found.strategy}; every {found.interval} epochs from epoch '
                      f'{found.begin} on')
    yield 'neighbours', neighbours
    activations = '; activations were not measured'
    if plan.activation_bytes is not None:
        activations = f', activations {amount(plan.activation_bytes)}'
    yield 'memory, training', (
        f'{amount(plan.training_bytes)} in each process: model {amount(settings.model_bytes)}, gradients '
        f'{amount(settings.trainable_bytes)}, optimizer {amount(measured.optimizer_bytes)}{activations}')
    if (refresh := plan.refresh) is not None:
        yield 'memory, refresh', f'{amount(refresh.host_bytes)} at most on this machine'
    yield 'time of a step', 'not measured' if plan.step is None else (
        f'{duration(plan.step)}: model {duration(plan.compute)}, loading {duration(plan.load)} '
        f'(workers: {settings.num_workers})')
    refreshes = ''
    if found is not None and refresh is not None:
        refreshes = f', {found.num_refreshes} refreshes'
        share = f'; {refresh.share:.1%} of the time' if refresh.share is not None else ''
        yield 'time of a refresh', (
            f'{duration(refresh.seconds)}: extraction {duration(refresh.extract)}, clustering and search '
            f'{duration(refresh.search)}{share}')
    yield 'time in all', 'not measured' if plan.training is None else (
        f'{duration(plan.training)}: {settings.max_epochs - settings.start_epoch} epochs of {duration(plan.epoch)}'
        f'{refreshes}')
    yield 'disk', (f'{amount(plan.disk_bytes)} for checkpoints of {amount(plan.checkpoint_bytes)}, '
                   f'{amount(machine.free_disk)} free')
    if measured.missing:
        yield 'not measured', measured.missing
