"""Kill small trainings at random moments, resume them, and compare their ends with undisturbed ones, bit for bit.

    python tests/faults/kill_runs.py --runs 100
    python tests/faults/kill_runs.py --runs 20 --config tests/faults/c2bin_small_digits.py

Every run is killed by SIGKILL one to three times: at any moment, while a checkpoint is being written, or during a
refresh (extraction, clustering, search). Half of them train in one process, half in two.
"""

import argparse
import itertools
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from mmengine.config import Config
from small_training import CONFIG, Training, write_images
from tqdm import tqdm

from clim_mm.checkpoints import read_checkpoint

MOMENTS = ('any', 'checkpoint', 'refresh')  # the last for trainings that have refreshes
LAST = 'epoch_6.pth'


def main() -> int:
    """Run it; the number of faults is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--runs', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--config', type=Path, default=CONFIG, help='the training (default: of CLIM)')
    parser.add_argument('--json', type=Path, help='write the figures here')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = kill_runs(Path(folder), args.runs, random.Random(args.seed), args.config)
    print(json.dumps(figures, indent=4))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=4) + '\n')
    return len(figures['faults'])


def kill_runs(folder: Path, runs: int, rng: random.Random, config: Path = CONFIG) -> dict[str, Any]:
    """Train undisturbed with one process and with two, then ``runs`` times with kills; the figures of it all."""
    images = write_images(folder / 'images')
    undisturbed, seconds = {}, {}
    for processes in (1, 2):
        start = time.monotonic()
        training = Training(images, folder / f'undisturbed{processes}', processes, config=config)
        training.wait()
        seconds[processes] = time.monotonic() - start
        if any(training.exit_codes):
            raise RuntimeError(f'The undisturbed training failed:\n{training.output.read_text()[-3000:]}')
        undisturbed[processes] = outcome(training.work_dir)
    kills, faults, first = Counter(), [], time.monotonic()
    for number in tqdm(range(runs), desc='killed runs', unit='run'):
        processes = 1 + number % 2
        work_dir = folder / f'run{number}'
        try:
            kills.update(disturbed_run(images, work_dir, processes, seconds[processes], rng, config))
            faults += [f'run {number}: {text}' for text in differences(undisturbed[processes], outcome(work_dir))]
        except RuntimeError as error:
            faults.append(f'run {number}: {error}')
        shutil.rmtree(work_dir, ignore_errors=True)
    return dict(config=config.stem, runs=runs, kills=sum(kills.values()), kills_by_moment=dict(kills), faults=faults,
                seconds=round(time.monotonic() - first))


def disturbed_run(images: Path, work_dir: Path, processes: int, seconds: float, rng: random.Random,
                  config: Path = CONFIG) -> Iterator[str]:
    """Kill and resume until the training ends; yields the moment of each kill."""
    planned = rng.randint(1, 3)
    moments = MOMENTS if 'neighbors' in Config.fromfile(config).default_hooks else MOMENTS[:-1]
    for attempt in itertools.count():
        newest, said_before = newest_checkpoint(work_dir), len(text_of(work_dir.with_suffix('.out')))
        training = Training(images, work_dir, processes, resume=attempt > 0, config=config)
        moment = rng.choice(moments)
        due = when(moment, work_dir, training.output, seconds, rng) if attempt < planned else None
        killed = training.wait(due)
        if killed:
            training.kill()
        elif any(training.exit_codes):
            raise RuntimeError(f'ended with {training.exit_codes}:\n{training.output.read_text()[-3000:]}')
        check_nothing_lost(text_of(training.output)[said_before:], newest)
        if not killed:
            return
        yield moment


def when(moment: str, work_dir: Path, output: Path, seconds: float, rng: random.Random) -> Callable[[], bool]:
    """What tells that it is time for a kill."""
    if moment == 'any':
        end = time.monotonic() + rng.uniform(0, seconds)
        return lambda: time.monotonic() > end
    if moment == 'checkpoint':
        unfinished = f'.epoch_{rng.randint(1, 6)}.pth.*.unfinished'
        return lambda: any(work_dir.glob(unfinished))
    seen, delay = len(text_of(output)), rng.uniform(0, 0.6)  # a refresh follows a checkpoint, or the first lines
    started: list[float] = []

    def refreshing() -> bool:
        if not started and re.search(r'Saving checkpoint at [24] epochs|Neighbours of', text_of(output)[seen:]):
            started.append(time.monotonic())
        return bool(started) and time.monotonic() > started[0] + delay

    return refreshing


def check_nothing_lost(text: str, newest: Optional[int]) -> None:
    """A resumed run goes on from the newest checkpoint that was there, if it lived long enough to say so.

    Args:
        text: What this run has printed.
        newest: Epochs of the newest checkpoint before it, if there was one.
    """
    resumed = re.search(r'resumed epoch: (\d+)', text)
    if newest is not None and resumed and int(resumed[1]) < newest:
        raise RuntimeError(f'resumed from epoch {resumed[1]}, although there was a checkpoint of epoch {newest}')


def newest_checkpoint(work_dir: Path) -> Optional[int]:
    """The highest epoch of a checkpoint file."""
    return max((int(path.stem.removeprefix('epoch_')) for path in work_dir.glob('epoch_*.pth')), default=None)


def text_of(output: Path) -> str:
    """What the training has printed so far."""
    return output.read_text() if output.exists() else ''


def outcome(work_dir: Path) -> dict[str, Any]:
    """All that a training ends with: what the last checkpoint holds, and the losses as they were logged."""
    checkpoint = read_checkpoint(work_dir / LAST)
    lines = (json.loads(line) for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
             for line in path.read_text().splitlines() if line.endswith('}'))
    logged = {line['step']: line['loss'] for line in lines if 'loss' in line}  # a repeated step counts as it was last
    histories = {name: buffer.data for name, buffer in checkpoint['message_hub']['log_scalars'].items()
                 if not name.endswith('time')}
    kept = {'state_dict', 'optimizer', 'param_schedulers', 'neighbors', 'quarantine', 'manifest'} & checkpoint.keys()
    return dict({key: checkpoint[key] for key in kept}, histories=histories, logged=logged)


def differences(expected: Any, found: Any, place: str = '') -> list[str]:
    """Where two nested values are not the same in every bit."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            return [f'{place} has other keys: {sorted(map(str, expected.keys() ^ found.keys()))[:5]}']
        return [text for key in expected for text in differences(expected[key], found[key], f'{place}/{key}')]
    if isinstance(expected, (list, tuple)) and len(expected) == len(found):
        return [text for i, (a, b) in enumerate(zip(expected, found, strict=True))
                for text in differences(a, b, f'{place}/{i}')]
    if isinstance(expected, torch.Tensor):
        same = torch.equal(expected, found)
    elif isinstance(expected, np.ndarray):
        same = np.array_equal(expected, found, equal_nan=expected.dtype.kind == 'f')
    else:
        same = expected == found
    return [] if same else [f'{place} differs']


if __name__ == '__main__':
    sys.exit(main())
