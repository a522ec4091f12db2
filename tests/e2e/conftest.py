"""What the end-to-end tests share: generated photographs, and commands run as a user runs them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
IN1K = 'configs/clim/clim_r50_16xb32-1200e_in1k.py'

# The main config, small enough for a CPU: a ResNet-18 on small views, few keys. One epoch or two.
SMALL = [
    'model.backbone.depth=18', 'model.neck.in_channels=512', 'model.queue_len=64', 'train_dataloader.batch_size=8',
    'train_dataloader.num_workers=1', 'train_dataloader.dataset.pipeline.0.view.0.resolutions=(48,32)',
    'custom_hooks.0.extract.pipeline.1.scale=56', 'custom_hooks.0.extract.pipeline.2.crop_size=48',
    'custom_hooks.0.extract.num_workers=1', 'custom_hooks.0.interval=1', 'default_hooks.checkpoint.interval=1',
    'default_hooks.logger.interval=5', 'default_hooks.preflight.seconds=0', 'randomness.seed=0'
]


@pytest.fixture(scope='session')
def imagenet_like(tmp_path_factory):
    """A folder in ImageNet's layout: 203 JPEGs of five classes, sizes all different."""
    root = tmp_path_factory.mktemp('imagenet')
    rng = np.random.default_rng(0)
    for number in range(203):
        label = number % 5
        folder = root / 'train' / f'n{label:08d}'
        folder.mkdir(parents=True, exist_ok=True)
        coarse = 0.5 * rng.random((4, 6, 3)) + 0.5 * np.array([label / 5, 1 - label / 5, 0.5])
        size = int(rng.integers(90, 130)), int(rng.integers(70, 100))
        image = Image.fromarray((coarse * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / f'{number:04d}.JPEG')
    return root


@pytest.fixture(scope='session')
def run():
    """Run a command at the root of the repository, with one thread a process; return it when it has ended."""

    def run_command(*command, timeout=1500, **variables):
        environment = dict(
            os.environ, **{'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable, **variables})
        return subprocess.run(
            [str(part) for part in command], cwd=ROOT, env=environment, text=True, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    return run_command


@pytest.fixture(scope='session')
def ends_of(run, tmp_path_factory):
    """Run a program with one list of arguments after the other, in one process; give what each has ended with."""

    def run_in_turn(program, runs):
        file = tmp_path_factory.mktemp('runs') / 'runs.json'
        file.write_text(json.dumps([[str(word) for word in words] for words in runs]))
        result = run(sys.executable, 'tests/command_runs.py', program, file)
        assert result.returncode == 0 and 'Traceback' not in result.stdout, result.stdout[-3000:]
        return json.loads(file.with_suffix('.ends.json').read_text()), result.stdout

    return run_in_turn


@pytest.fixture(scope='session')
def free_port():
    """Find a port that nothing listens on: ``free_port()``, a string."""

    def find():
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            return str(free.getsockname()[1])

    return find


@pytest.fixture(scope='session')
def train(run, free_port, imagenet_like):
    """Train the small main config on the generated folder: ``train(work_dir, processes, *arguments)``."""

    def train_small(work_dir, processes, *arguments, options=(), epochs=1, config=IN1K, launcher=None, **variables):
        data_root = f'train_dataloader.dataset.dataset.data_root={imagenet_like}'
        tail = [
            '--work-dir', work_dir, *arguments, '--cfg-options', *SMALL, data_root, f'train_cfg.max_epochs={epochs}',
            *options
        ]
        if processes == 1 and launcher is None:
            return run(sys.executable, 'tools/train.py', config, *tail, **variables)
        variables.setdefault('PORT', free_port())
        return run('bash', 'tools/dist_train.sh', config, processes, *tail, **variables)

    return train_small
