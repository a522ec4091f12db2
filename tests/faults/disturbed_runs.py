"""Disturb small trainings as machines and people do, resume them, and compare their ends with undisturbed ones.

    python tests/faults/disturbed_runs.py --runs 100

Every run meets one of the disturbances of disturbances.py at a random moment. It must end in a sentence, with no
process left, or go on; and in the end be that of an undisturbed training, bit for bit. Small disks are mounted in a
name space of this process, for which it needs to be root.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from disturbances import ALL, MOUNTING, Scene
from kill_runs import differences, outcome
from shell_training import ShellTraining
from small_training import write_images
from tqdm import tqdm

_INSIDE = 'CLIM_DISTURBED_RUNS'
KINDS = {disturb.__name__: disturb for disturb in ALL}


def main() -> int:
    """Run it; the number of faults is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--runs', type=int, default=100)
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path, help='write the figures here')
    args = parser.parse_args()
    if _INSIDE not in os.environ and not MOUNTING.isdisjoint(args.kinds):  # mounts of its own, which end with it
        os.execvpe('unshare', ['unshare', '-m', sys.executable, *sys.argv], dict(os.environ, **{_INSIDE: '1'}))
    with tempfile.TemporaryDirectory() as folder:
        figures = disturbed_runs(Path(folder), args.runs, args.kinds, args.seed)
    print(json.dumps(figures, indent=4))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=4) + '\n')
    return min(len(figures['faults']), 255)


def disturbed_runs(folder: Path, runs: int, kinds: list[str], seed: int) -> dict[str, Any]:
    """Train undisturbed, then ``runs`` times with disturbances, the kinds in turn; the figures of it all."""
    images, undisturbed = write_images(folder / 'images'), {}
    counts, faults, sentences, start = Counter(), [], {}, time.monotonic()
    for number in tqdm(range(runs), desc='disturbed runs', unit='run'):
        kind = kinds[number % len(kinds)]
        scene = Scene(images, folder / f'run{number}', random.Random(f'{seed} {number}'))
        counts[kind] += 1
        try:
            KINDS[kind](scene)
            if scene.processes not in undisturbed:
                undisturbed[scene.processes] = _undisturbed(images, folder, scene.processes)
            faults += [f'run {number}, {kind}: {text}'
                       for text in differences(undisturbed[scene.processes], outcome(scene.work_dir))]
        except Exception as error:
            faults.append(f'run {number}, {kind}: {error}')
        sentences.setdefault(kind, []).extend(text for text in scene.sentences if text not in sentences.get(kind, []))
        if os.path.ismount(scene.work_dir):
            subprocess.run(['umount', str(scene.work_dir)], check=True)
        shutil.rmtree(scene.work_dir, ignore_errors=True)
    return dict(runs=runs, runs_by_kind=dict(counts), faults=faults, sentences=sentences,
                seconds=round(time.monotonic() - start))


def _undisturbed(images: Path, folder: Path, processes: int) -> dict[str, Any]:
    training = ShellTraining(images, folder / f'undisturbed{processes}', processes)
    if status := training.wait():
        raise RuntimeError(f'The undisturbed training ended with status {status}:\n{training.text[-3000:]}')
    return outcome(training.work_dir)


if __name__ == '__main__':
    sys.exit(main())
