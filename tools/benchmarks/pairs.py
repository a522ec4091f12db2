"""Times of things that are compared side by side: in turns, in one run, with a control."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from clim_mm.checkpoints import write_json
from clim_mm.progress import progress_bar

Run = Callable[[], object]


def in_turns(runs: dict[str, Run], rival: str, pairs: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each run, ``pairs`` times, all of them in turns.

    Args:
        runs: What is compared, by name. Each is run once before, untimed.
        rival: The name of the one that the others are compared with. It is run twice a turn: its two times, which
            should be the same, are the control (``rival (again)``).
        pairs: Turns.
        clock: ``time.perf_counter``, or ``time.process_time`` for the seconds of a core whatever else runs.
    """
    order = [*runs, f'{rival} (again)']
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for run in runs.values():
        run()
    with progress_bar(total=pairs, desc='turns', unit='turn') as bar:
        for turn in range(pairs):
            for name in order if turn % 2 == 0 else reversed(order):
                start = clock()
                runs.get(name, runs[rival])()
                seconds[name].append(clock() - start)
            bar.update()
    return seconds


def ratios_to(rival: str, seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Of each run's seconds to the rival's of the same turn: median, smallest and largest."""
    return {name: dict(median=statistics.median(ratios), least=min(ratios), most=max(ratios))
            for name, own in seconds.items() if name != rival
            for ratios in [[a / b for a, b in zip(own, seconds[rival], strict=True)]]}


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return dict(processor=_processor(), cores=len(os.sched_getaffinity(0)), gpus=gpus, python=platform.python_version(),
                torch=torch.__version__, date=time.strftime('%Y-%m-%d'))


def _processor() -> str:
    try:
        with open('/proc/cpuinfo') as file:
            names = [line.partition(':')[2].strip() for line in file if line.startswith('model name')]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def write_figures(path: str, figures: dict) -> None:
    """Write figures with the machine's description beside them, unless they have it."""
    described = figures if 'machine' in figures else dict(machine=machine(), **figures)
    write_json(path, described)
