"""Real processes end when what started them as a part is gone, and go on where a shell started them."""

import os
import signal
import subprocess
import sys

import pytest
from processes import is_running, wait_until, with_descendants
from trained import ROOT

pytestmark = pytest.mark.e2e

# A command of tools/, which tells that it is at work.
PART = """
import pathlib, sys, time
from clim_mm.launch.commands import errors_in_a_sentence
from clim_mm.distributed import watch_peers
with errors_in_a_sentence(), watch_peers({launcher!r}):
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
    study='from clim_mm.distributed.starter import environment_of_a_part as environment',
    torchrun='environment = lambda: dict(os.environ, TORCHELASTIC_RUN_ID="none")',
    slurm='environment = lambda: dict(os.environ, SLURM_PROCID="0", SLURM_LOCALID="0", SLURM_NTASKS="1", '
          'MASTER_ADDR="localhost", MASTER_PORT="0")',
    shell='environment = lambda: dict(os.environ)',
    outside_of_the_container='environment = lambda: dict(os.environ, CLIM_STARTED_BY="1000000:1")')
SHELL = ['bash', '-c', '"$@"; exit', 'bash']  # stays between the two


@pytest.fixture
def start(tmp_path):
    """Start a part, and give the processes from its starter down, and what it says, once it is at work."""
    started = []

    def start_as(starter, wrapper=()):
        folder = tmp_path / f'{starter}-{len(wrapper)}'
        folder.mkdir()
        part = PART.format(launcher=starter if starter == 'slurm' else 'none')
        code = STARTER.format(environment=AS[starter], wrapper=wrapper, part=part)
        process = subprocess.Popen([sys.executable, '-c', code, folder / 'at work', folder / 'output'], cwd=ROOT)
        started.append((process, family := []))
        wait_until((folder / 'at work').exists)
        family += with_descendants(process.pid)
        return family, folder / 'output'

    yield start_as
    for process, family in started:
        for pid in filter(is_running, family):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


@pytest.mark.parametrize(('starter', 'wrapper'), [
    ('study', []), ('torchrun', []), ('torchrun', SHELL), ('slurm', [])])
def test_a_part_ends_with_its_starter_and_says_so(start, starter, wrapper):
    (above, *_, part), output = start(starter, wrapper)
    os.kill(above, signal.SIGKILL)  # a zombie, as nobody waits for it yet
    wait_until(lambda: not is_running(part))
    assert output.read_text() == (
        f'\nError: Process {above}, which has started this one, is gone, and so this one ends; a training goes on from '
        'its last checkpoint when it is started again with --resume.\n')


def test_a_starter_that_was_gone_before_is_missed(tmp_path):
    late = f'import os, time; time.sleep(1)\n{PART.format(launcher="none")}'
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
