"""Show that trainings give the same figures with the working tree's code as with an earlier commit's, to the last bit.

    python tests/recordings/compare.py --before 1e677a5
    python tests/recordings/compare.py --before 1e677a5 --only digits bank

Each training of ``trainings.py`` runs on the CPU, on one thread and with deterministic algorithms. The commit's results
are kept, so that a second call runs the working tree's code alone. The exit status is 1 if a figure that both log, or a
weight, differs by more than 1e-6, or a training fails.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from trainings import TRAININGS, Training, config_of

ROOT = Path(__file__).resolve().parents[2]
BOUND = 1e-6
# What depends on the clock or the machine, by a part of the name.
MEASURED = ('time', 'seconds', 'memory', 'share_waiting', 'eta', 'throughput')


def record(training: Training, tree: Path, data: Path) -> dict:
    """Run a training with a checkout's code: figures by name, and each weight's hash and norm."""
    with tempfile.TemporaryDirectory() as scratch:
        config, work_dir, out = (Path(scratch, name) for name in ('training.py', 'work_dir', 'out'))
        config_of(training, str(tree), str(data)).dump(config)
        script = str(Path(__file__).with_name('record.py'))
        env = dict(
            os.environ, PYTHONPATH=str(tree), PYTHON=sys.executable, TRAIN_SCRIPT=script, CUDA_VISIBLE_DEVICES='',
            OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', RECORD_TREE=str(tree), RECORD_OUT=str(out))
        start = [sys.executable, script, str(config)]
        if training.processes > 1:
            start = ['bash', str(tree / 'tools/dist_train.sh'), str(config), str(training.processes)]
        done = subprocess.run(
            [*start, '--work-dir', str(work_dir)], env=env, cwd=scratch, text=True, errors='replace',
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise RuntimeError(f'{training.config}: status {done.returncode} in {tree}:\n{done.stdout[-3000:]}')
        ranks = [json.loads(Path(f'{out}.{rank}').read_text()) for rank in range(training.processes)]
        figures = {f'rank {rank} {name}' if rank else name: values
                   for rank, result in enumerate(ranks) for name, values in result['figures'].items()}
        for file in sorted(work_dir.glob('*.jsonl')):
            for line in file.read_text().splitlines():
                for name, value in json.loads(line).items():
                    if isinstance(value, (int, float)):
                        figures.setdefault(f'{file.name} {name}', []).append(value)
    figures = {name: values for name, values in figures.items() if not any(word in name for word in MEASURED)}
    return dict(figures=figures, weights=ranks[0]['weights'])


def recorded(name: str, commit: str, cache: Path, data: Path) -> dict:
    """The commit's results, made if they are not kept."""
    sources = [Path(__file__).with_name(file).read_bytes() for file in ('trainings.py', 'record.py')]
    version = hashlib.sha256(b''.join(sources) + torch.__version__.encode()).hexdigest()[:8]
    kept = cache / f'{commit[:12]}-{version}-{name}.json'
    if not kept.exists():
        with tempfile.TemporaryDirectory() as tree:
            archive = subprocess.run(['git', 'archive', commit], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
            subprocess.run(['tar', '-x', '-C', tree], input=archive, check=True)
            result = record(TRAININGS[name], Path(tree), data)
        unfinished = kept.with_suffix(f'.{os.getpid()}')
        unfinished.write_text(json.dumps(result))
        unfinished.replace(kept)
    return json.loads(kept.read_text())


def difference(a: float, b: float) -> float:
    """Relative to the larger one."""
    if a == b or math.isnan(a) and math.isnan(b):
        return 0.
    value = abs(a - b) / max(abs(a), abs(b))
    return math.inf if math.isnan(value) else value


def differences(before: dict, after: dict) -> dict[str, float]:
    """Of each figure that both have, the largest; and of the weights that are not identical under any name."""
    found = {}
    for name in before['figures'].keys() & after['figures'].keys():
        a, b = before['figures'][name], after['figures'][name]
        found[name] = max(map(difference, a, b)) if len(a) == len(b) else math.inf
    old, new = before['weights'], after['weights']
    if sorted(digest for digest, _ in old.values()) != sorted(digest for digest, _ in new.values()):
        for name in old.keys() | new.keys():
            if name not in old or name not in new:
                found[f'weight {name}'] = math.inf
            elif old[name][0] != new[name][0]:
                found[f'weight {name}'] = max(difference(old[name][1], new[name][1]), sys.float_info.epsilon)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description='Compare trainings of two versions of the code.')
    parser.add_argument('--before', required=True, metavar='COMMIT', help='the earlier version')
    parser.add_argument('--only', nargs='+', choices=list(TRAININGS), metavar='NAME', default=list(TRAININGS),
                        help=f'of {", ".join(TRAININGS)}')
    parser.add_argument('--cache', type=Path, default=Path(tempfile.gettempdir(), 'clim_mm_recordings'),
                        help='where the images and the results of the earlier version are kept (default: %(default)s)')
    args = parser.parse_args()
    commit = subprocess.run(['git', 'rev-parse', '--verify', f'{args.before}^{{commit}}'], cwd=ROOT, check=True,
                            text=True, stdout=subprocess.PIPE).stdout.strip()
    cache = args.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    data = cache / 'digits'
    subprocess.run([sys.executable, str(ROOT / 'tools/prepare_digits.py'), str(data)], check=True,
                   env=dict(os.environ, PYTHONPATH=str(ROOT)))
    bad = 0
    print(f'| training | steps | {commit[:7]} and the working tree |\n|---|---|---|', flush=True)
    for name in args.only:
        try:
            before, after = recorded(name, commit, cache, data), record(TRAININGS[name], ROOT, data)
        except RuntimeError as error:
            bad += 1
            print(f'| {name} | | failed |\n{error}', flush=True)
            continue
        found = differences(before, after)
        worst = max(found.values(), default=math.inf)
        bad += not worst <= BOUND
        said = f'differ by up to {worst:.1e}' if worst else f'identical ({len(found)} figures, all weights)'
        print(f'| {name} | {len(after["figures"]["train/loss"])} | {said} |', flush=True)
        differing = [figure for figure in found if found[figure]]
        for figure in sorted(differing, key=lambda figure: (figure.startswith('weight'), -found[figure]))[:12]:
            print(f'    {figure}: {found[figure]:.1e}', flush=True)
        if lonely := sorted(before['figures'].keys() ^ after['figures'].keys()):
            print(f'    only one logs: {", ".join(lonely)}', flush=True)
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
