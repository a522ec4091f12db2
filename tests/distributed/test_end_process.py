"""A process is ended from a thread, whatever its main thread does, and ends when what started it is gone."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from processes import is_running, started, wait_until, with_descendants
from torch.utils.data import DataLoader
from trained import ROOT

from clim_mm.distributed.end_process import end_process
from clim_mm.launch.commands import errors_in_a_sentence

pytestmark = pytest.mark.e2e


def wait_in_c():
    """Wait where no exception arrives."""
    ctypes.CDLL(None).pause()


def compute():
    """Never give up the GIL by oneself."""
    while True:
        pass


def print_to_nobody():
    """Wait inside a write to a full pipe, with the lock of sys.stdout."""
    os.dup2(os.pipe()[1], 1)
    sys.stdout.write('x' * 2**20)
    sys.stdout.flush()


def ended_by_a_thread(main):
    """Have a child, print, and run ``main`` until a thread ends the process."""
    sys.stdout = open(1, 'w', closefd=False)
    child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60, ), daemon=True)
    child.start()
    print(child.pid, flush=True)
    if main is not print_to_nobody:
        sys.stdout.write('half a line')
    threading.Timer(0.2, end_process, args=('It is over.', )).start()
    main()


@pytest.mark.parametrize('main', [wait_in_c, compute, print_to_nobody])
def test_the_process_and_its_children_end_and_the_reason_is_told(tmp_path, main):
    output = tmp_path / 'output.txt'
    with started([(ended_by_a_thread, (main, ))], [output]) as (process, ):
        process.join(20)
        assert process.exitcode == 1
    pid, said = output.read_text().split('\n', 1)
    assert said == '\nError: It is over.\n' + ('' if main is print_to_nobody else 'half a line')
    wait_until(lambda: not is_running(int(pid)), seconds=5)


def load_more_than_is_read():
    """Have DataLoader workers whose results fill the pipe, and tell who they are."""
    with errors_in_a_sentence():  # as every command
        pass
    batches = iter(DataLoader(['x' * 1000] * 1000, num_workers=2, batch_size=50, multiprocessing_context='fork'))
    next(batches)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    time.sleep(600)


def test_children_that_wait_for_a_reader_are_not_left_behind(tmp_path):
    output = tmp_path / 'output.txt'
    with started([(load_more_than_is_read, ())], [output]) as (process, ):
        wait_until(lambda: output.exists() and output.read_text().endswith('\n'))
        workers = [int(pid) for pid in output.read_text().split()]
        time.sleep(1)  # for the pipe to fill
        assert len(workers) == 2 and all(map(is_running, workers))
        process.kill()
    wait_until(lambda: not any(map(is_running, workers)), seconds=3)


# A command of tools/, which tells that it is at work.
PART = """
import pathlib, sys, time
from clim_mm.launch.commands import errors_in_a_sentence
with errors_in_a_sentence():
    pathlib.Path(sys.argv[1]).write_text('')
    time.sleep(600)
"""
# What starts it, and how each makes its environment.
STARTER = """
import os, subprocess, sys
{environment}
words = [*{wrapper}, sys.executable, '-c', {part!r}, sys.argv[1]]
sys.exit(subprocess.call(words, env=environment(), stderr=open(sys.argv[2], 'w')))
"""
AS = dict(
    study='from clim_mm.distributed.end_process import starter_environment as environment',
    torchrun='environment = lambda: dict(os.environ, TORCHELASTIC_RUN_ID="none")',
    mpirun='environment = lambda: dict(os.environ, OMPI_COMM_WORLD_RANK="0")',
    shell='environment = lambda: dict(os.environ)',
    outside_of_the_container='environment = lambda: dict(os.environ, CLIM_STARTED_BY="1000000:1")')
SHELL = ['bash', '-c', '"$@"; exit', 'bash']  # stays between the two


@pytest.fixture
def start(tmp_path):
    """Start a command, and give the processes from its starter down, and what it says, once it is at work."""
    begun = []

    def start_as(starter, wrapper=()):
        folder = tmp_path / f'{starter}-{len(wrapper)}'
        folder.mkdir()
        code = STARTER.format(environment=AS[starter], wrapper=wrapper, part=PART)
        process = subprocess.Popen([sys.executable, '-c', code, folder / 'at work', folder / 'output'], cwd=ROOT)
        begun.append((process, family := []))
        wait_until((folder / 'at work').exists)
        family += with_descendants(process.pid)
        return family, folder / 'output'

    yield start_as
    for process, family in begun:
        for pid in filter(is_running, family):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


@pytest.mark.parametrize(('starter', 'wrapper'), [
    ('study', []), ('study', SHELL), ('torchrun', []), ('mpirun', [])])
def test_a_part_ends_with_its_starter_and_says_so(start, starter, wrapper):
    (above, *_, part), output = start(starter, wrapper)
    os.kill(above, signal.SIGKILL)  # a zombie, as nobody waits for it yet
    wait_until(lambda: not is_running(part))
    assert output.read_text() == (
        f'\nError: Process {above}, which has started this one, is gone, and so this one ends; a training goes on from '
        'its last checkpoint when it is started again with --resume.\n')


def test_a_starter_that_was_gone_before_is_missed(tmp_path):
    late = f'import os, time; time.sleep(1)\n{PART}'
    code = f"{AS['study']}\nimport subprocess, sys\n" \
           f"subprocess.Popen([sys.executable, '-c', {late!r}, sys.argv[1]], env=environment())"
    gone = subprocess.Popen([sys.executable, '-c', code, tmp_path / 'at work'], cwd=ROOT, text=True,
                            stderr=subprocess.PIPE)
    assert f'Process {gone.pid}, which has started this one, is gone' in gone.communicate(timeout=60)[1]


def test_what_a_shell_has_started_goes_on_without_it_and_so_in_a_container(start):
    families = [start(starter, SHELL) for starter in ('shell', 'outside_of_the_container')]
    for (above, shell, _), _ in families:
        os.kill(above, signal.SIGKILL)
        os.kill(shell, signal.SIGKILL)
    with pytest.raises(TimeoutError):
        wait_until(lambda: not all(is_running(family[-1]) for family, _ in families), seconds=3)
    assert [output.read_text() for _, output in families] == ['', '']
