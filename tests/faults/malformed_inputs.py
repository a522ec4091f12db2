"""Give the training malformed images, checkpoints and settings: each must end in a sentence or in the quarantine.

    python tests/faults/malformed_inputs.py --json malformed.json

A fault is a traceback without a sentence, a hang, or an input that is taken as if nothing were wrong with it.
"""

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bad_settings import file_cases, setting_cases
from checkpoint_cases import checkpoint_cases
from image_cases import folder_cases, one_folder, one_list
from malformed import Case, Result
from small_training import write_images
from sound_checkpoint import Sound
from tqdm import tqdm

GROUPS = ('images', 'checkpoints', 'settings')


def main() -> int:
    """Run it; the number of faults is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--groups', nargs='+', choices=GROUPS, default=GROUPS)
    parser.add_argument('--sample', type=int, help='take only so many cases of each group')
    parser.add_argument('--only', default='', help='take only cases with these words in their names')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path, help='write the figures here')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images, rng = write_images(Path(folder) / 'images'), random.Random(args.seed)
        groups = [[case for case in cases_of(group, images, Path(folder), rng) if args.only in case.name]
                  for group in args.groups]
        if args.sample is not None:
            groups = [rng.sample(group, min(args.sample, len(group))) for group in groups]
        results = run_cases([case for group in groups for case in group], Path(folder))
        if 'images' in args.groups and not args.only:
            results = itertools.chain(one_folder(images, Path(folder, 'folder'), rng),
                                      one_list(images, Path(folder, 'list')), results)
        figures = figures_of(results)
    print(json.dumps(figures, indent=4))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=4) + '\n')
    return min(len(figures['faults']), 255)


def cases_of(group: str, images: Path, folder: Path, rng: random.Random) -> list[Case]:
    """All cases of a group that have a training of their own; what they need is written into ``folder``."""
    if group == 'images':
        return list(folder_cases(images))
    if group == 'checkpoints':
        return list(checkpoint_cases(Sound(images, folder / 'sound'), rng))
    return [*file_cases(images), *setting_cases(images)]


def run_cases(cases: Sequence[Case], folder: Path) -> Iterator[Result]:
    """Run them one after another."""
    for number, case in enumerate(tqdm(cases, desc='malformed inputs', unit='input')):
        yield case.run(folder / f'case{number}')
        shutil.rmtree(folder / f'case{number}', ignore_errors=True)


def figures_of(results: Iterable[Result]) -> dict[str, Any]:
    """How many inputs came to what, the faults, and every sentence."""
    outcomes: dict[str, Counter] = {}
    faults, sentences, longest, start = [], {}, 0.0, time.monotonic()
    for result in results:
        outcomes.setdefault(result.group, Counter())[result.kind] += 1
        sentences[f'{result.group}: {result.name}'] = result.sentence
        longest = max(longest, result.seconds)
        if result.fault:
            faults.append(f'{result.group}: {result.name}: {result.fault}')
            tqdm.write(faults[-1])
    return dict(
        inputs=sum(map(Counter.total, outcomes.values())), outcomes=outcomes, faults=faults,
        longest_seconds=round(longest, 1), seconds=round(time.monotonic() - start), sentences=sentences)


if __name__ == '__main__':
    sys.exit(main())
