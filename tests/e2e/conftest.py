"""What the end-to-end tests share: programs as a user runs them, images, and trainings that were made once."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import gloo
import pytest
from forked import ForkedProgram
from trained import IN1K, KINDS, ROOT, SMALL, Shelf, Trained, write_digits, write_imagenet_like

# Of every program, and of what it starts itself.
VARIABLES = {'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}


@dataclass(frozen=True)
class Ended:
    """A program that has ended: its exit status, and what it has printed on stdout and stderr."""

    returncode: int
    stdout: str


@pytest.fixture(scope='session')
def shell():
    """Run a command at the root of the repository, in processes of its own, with one thread each."""

    def run_command(*command, timeout=1500, folder=ROOT, **variables):
        ended = subprocess.run(
            [str(part) for part in command], cwd=folder, env={**os.environ, **VARIABLES, **variables}, text=True,
            timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return Ended(ended.returncode, ended.stdout)

    return run_command


@pytest.fixture(scope='session')
def run(tmp_path_factory):
    """Run a Python program of the repository in a forked process: ``run('tools/train.py', *arguments)``."""

    def run_program(program, *arguments, processes=1, timeout=1500, folder=ROOT, **variables):
        output = tmp_path_factory.mktemp('outputs') / 'output.txt'
        started = ForkedProgram(program, arguments, output, processes, folder, {**VARIABLES, **variables})
        started.wait(timeout=timeout)
        return Ended(next(filter(None, started.exit_codes), 0), started.text)

    return run_program


@pytest.fixture(scope='session')
def free_port():
    """Find a port that nothing listens on: ``free_port()``, a string."""
    return lambda: str(gloo.free_port())


@pytest.fixture(scope='session')
def shelf(request):
    """Where images and trainings are kept for all tests."""
    return Shelf(request.config.cache.mkdir('trained'))


@pytest.fixture(scope='session')
def imagenet_like(shelf):
    """A folder in ImageNet's layout: 203 JPEGs of five classes, sizes all different. Not to be changed."""
    return shelf.made('imagenet_like', write_imagenet_like)


@pytest.fixture(scope='session')
def digits(shelf):
    """scikit-learn's digits as class folders, in ``train`` and ``test``. Not to be changed."""
    return shelf.made('digits_images', write_digits)


@pytest.fixture(scope='session')
def few_digits(run, shelf, digits):
    """40 of each class in ``train``, 15 in ``test``: for tests of which several trainings are a part."""

    def make(folder):
        made = run('tools/prepare_subset.py', digits, folder, '--train', 40, '--val', 1, '--test', 15)
        assert made.returncode == 0, made.stdout

    return shelf.made('few_digits', make)


@pytest.fixture(scope='session')
def train(run, shell, imagenet_like):
    """Train the small main config on the generated folder: ``train(work_dir, processes, *arguments)``.

    ``from_shell`` starts tools/dist_train.sh from the shell instead, whose environment is ``variables``.
    """

    def train_small(work_dir, processes=1, *arguments, options=(), epochs=1, config=IN1K, images=imagenet_like,
                    from_shell=False, **variables):
        words = [
            '--work-dir', work_dir, *arguments, '--cfg-options', *SMALL,
            f'train_dataloader.dataset.dataset.data_root={images}', f'train_cfg.max_epochs={epochs}', *options
        ]
        if from_shell:
            return shell('bash', 'tools/dist_train.sh', config, processes, *words, **variables)
        launcher = ['--launcher', 'pytorch'] if processes > 1 else []
        return run('tools/train.py', config, *launcher, *words, processes=processes, **variables)

    return train_small


@pytest.fixture(scope='session')
def trained(run, train, shelf, imagenet_like, digits):
    """A training of one of ``KINDS``, made once: ``trained('small')``. Not to be changed."""

    def trained_of(name):
        kind = KINDS[name]
        images = imagenet_like if kind.config == IN1K else digits
        own_config = Path(kind.config).name

        def make(folder):
            folder.mkdir()
            config, work_dir = folder / own_config, folder / 'work'
            config.write_text(f"_base_ = '{ROOT}/{kind.config}'\n{kind.more}")
            if kind.config == IN1K:
                ended = train(work_dir, 1, '--resume', options=kind.options, epochs=kind.epochs, config=config)
            else:
                ended = run('tools/train.py', config, '--work-dir', work_dir, '--cfg-options',
                            f'train_dataloader.dataset.dataset.data_root={images}',
                            f'train_cfg.max_epochs={kind.epochs}', *kind.options)
            assert ended.returncode == 0, ended.stdout[-3000:]
            (folder / 'output.txt').write_text(ended.stdout)

        folder = shelf.made(name, make)
        return Trained(images, folder / own_config, folder / 'work', (folder / 'output.txt').read_text())

    return trained_of
