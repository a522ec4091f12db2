"""Trainings that something ends from outside, as users start them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forked import ROOT, ForkedProgram
from processes import wait_until, with_descendants

CONFIG = 'tests/faults/clim_small_digits.py'


def few(digits: Path) -> list[str]:
    """Options for epochs of 12 steps."""
    return [f'train_dataloader.dataset.dataset.data_root={digits}', 'train_dataloader.dataset.dataset.indices=192']


@pytest.fixture
def arguments(digits, tmp_path):
    """Of a training of many epochs, with a checkpoint after each."""
    return [CONFIG, '--work-dir', tmp_path / 'work', '--cfg-options',
            *few(digits), 'train_cfg.max_epochs=1000']


def has_saved(output: Path) -> bool:
    return output.exists() and 'Epoch(train)    [2][' in output.read_text()


@pytest.mark.parametrize('ends', ['SIGTERM to all', 'a worker is killed'])
def test_a_training_says_how_it_goes_on(arguments, tmp_path, ends):
    program = ForkedProgram('tools/train.py', arguments, tmp_path / 'output.txt')
    assert program.wait(lambda: has_saved(program.output))
    (training, ) = program.pids
    if ends == 'SIGTERM to all':
        os.killpg(training, signal.SIGTERM)
    else:
        os.kill(with_descendants(training)[-1], signal.SIGKILL)
    assert not program.wait()
    assert program.exit_codes == [143 if ends == 'SIGTERM to all' else 1]
    said = program.text.strip().splitlines()[-1]
    cause = 'SIGTERM has ended the program. ' if ends == 'SIGTERM to all' else 'A worker process was killed'
    assert said.startswith(f'Error: {cause}')
    assert said.endswith(' The same command with --resume goes on from the last checkpoint, if one was written.')
    assert 'Traceback' not in program.text


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_two_ranks_end_with_one_sentence(arguments, free_port, tmp_path, number):
    output = tmp_path / 'output.txt'
    with output.open('w') as file:
        torchrun = subprocess.Popen(
            ['bash', 'tools/dist_train.sh', CONFIG, '2', *map(str, arguments[1:])], cwd=ROOT, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(os.environ, PYTHON=sys.executable, OMP_NUM_THREADS='1', PORT=free_port()))
    try:
        wait_until(lambda: torchrun.poll() is not None or has_saved(output), seconds=300)
        if number == signal.SIGKILL:  # as the system does for want of memory
            ranks = [int(pid) for pid in Path(f'/proc/{torchrun.pid}/task/{torchrun.pid}/children').read_text().split()]
            os.kill(ranks[-1], number)
        elif number == signal.SIGINT:  # as a terminal does
            os.killpg(torchrun.pid, number)
        else:
            torchrun.send_signal(number)
        assert torchrun.wait(60) == 128 + number
    finally:
        for pid in with_descendants(torchrun.pid)[::-1]:
            if pid != torchrun.pid or torchrun.poll() is None:
                os.kill(pid, signal.SIGKILL)
    text = output.read_text()
    said = text.strip().splitlines()[-1]
    assert 'Traceback' not in text
    assert said.startswith(f'Error: {number.name} has ended ') and '--resume' in said
    if number != signal.SIGKILL:
        assert text.count('Error: ') == 1


@pytest.mark.parametrize('mount, words', [
    ('mount -t tmpfs -o size=64k none /dev/shm', '--shm-size'),
    ('mount -t tmpfs none {work} && mount -o remount,ro {work}', 'have it mounted for writing'),
    ('mount -t tmpfs -o size=64k none {work}', 'make room there')])
def test_small_and_read_only_file_systems(digits, tmp_path, mount, words):
    own = ['unshare', '--mount', *([] if os.geteuid() == 0 else ['--map-root-user'])]
    if not shutil.which('unshare') or subprocess.run([*own, 'mount', '-t', 'tmpfs', 'none', '/dev/shm'], check=False,
                                                     capture_output=True).returncode:
        pytest.skip('this system lets nobody mount here; without, the cause is tested by limits of a process')
    work = tmp_path / 'work'
    work.mkdir()
    script = f'{mount.format(work=work)} && exec "$@"'
    ended = subprocess.run(
        [*own, 'bash', '-c', script, 'bash', sys.executable, 'tools/train.py', CONFIG, '--work-dir', str(work),
         '--cfg-options', *few(digits), 'train_cfg.max_epochs=1'],
        cwd=ROOT, env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    assert ended.returncode == 1
    said = ended.stdout.strip().splitlines()[-1]
    assert said.startswith('Error: ') and words in said and 'Traceback' not in ended.stdout


@pytest.mark.parametrize('what', ['digits', 'textures'])
def test_what_writes_folders_of_images_leaves_none_unfinished(shell, tmp_path, what):
    script = 'ulimit -f 0; exec "$0" "tools/prepare_$1.py" "$2" 2>&1 | cat'
    ended = shell('bash', '-o', 'pipefail', '-c', script, sys.executable, what, tmp_path / what)
    assert ended.returncode == 1 and 'Traceback' not in ended.stdout
    assert '\nError: A limit on open files, processes or the size of files is reached (' in f'\n{ended.stdout}'
    assert not list(tmp_path.iterdir())
