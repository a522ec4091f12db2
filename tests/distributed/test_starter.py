"""Real processes end when what started them as a part is gone, and go on where a shell did."""

import os
import signal
import subprocess
import sys

import pytest
from processes import is_running, wait_until, with_descendants
from trained import ROOT

pytestmark = pytest.mark.e2e

# A command of tools/, that tells it is at work.
PART = """
import pathlib, sys, time
from clim_mm.launch.commands import errors_in_a_sentence
with errors_in_a_sentence():
    pathlib.Path(sys.argv[1]).write_text('')
    time.sleep(600)
"""
# What starts it: as the study does, as torchrun does, or as a shell.
AS = dict(
    study='from clim_mm.distributed.starter import environment_of_a_part as environment',
    torchrun='environment = lambda: dict(os.environ, TORCHELASTIC_RUN_ID="none")',
    shell='environment = lambda: dict(os.environ)')
STARTER = """
import os, subprocess, sys
{environment}
sys.exit(subprocess.call([sys.executable, '-c', {part!r}, sys.argv[1]], env=environment(), stderr=open(sys.argv[2], 'w')))
"""


@pytest.fixture
def start(tmp_path):
    """Start a part, and give the processes from its starter down once it is at work."""
    started = []

    def start_as(starter, *wrapper):
        code = STARTER.format(environment=AS[starter], part=PART)
        started.append(subprocess.Popen(
            [*wrapper, sys.executable, '-c', code, tmp_path / 'at work', tmp_path / 'output'],
            env=dict(os.environ, PYTHONPATH=str(ROOT))))
        wait_until((tmp_path / 'at work').exists)
        started[0].family = with_descendants(started[0].pid)
        return started[0].family

    yield start_as
    for process in started:
        for pid in process.family:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize('starter', ['study', 'torchrun'])
def test_a_part_ends_with_its_starter_and_says_so(start, tmp_path, starter):
    above, part = start(starter)
    os.kill(above, signal.SIGKILL)  # nobody waits for it yet: it is there as a zombie
    wait_until(lambda: not is_running(part))
    assert (tmp_path / 'output').read_text() == (
        f'\nError: Process {above}, which has started this one, is gone, and so this one ends; a training goes on from its '
        'last checkpoint when it is started again with --resume.\n')


def test_what_a_shell_has_started_goes_on_without_it(start, tmp_path):
    above, part = start('shell')
    os.kill(above, signal.SIGKILL)
    with pytest.raises(TimeoutError):
        wait_until(lambda: not is_running(part), seconds=3)
    assert (tmp_path / 'output').read_text() == ''
