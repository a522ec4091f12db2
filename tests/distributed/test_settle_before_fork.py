"""A process that forks lets its other threads come to an end of what they are at."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e

FORKS = """
import os, sys, threading
from clim_mm.distributed.settle_before_fork import settle_before_fork

wake, awake = threading.Event(), threading.Event()
threading.Thread(target=lambda: (wake.wait(), awake.set())).start()
{}
sys.setswitchinterval(60)  # the thread runs when this one waits, not before
wake.set()
child = os.fork()
if child == 0:
    os._exit(0 if awake.is_set() else 7)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
NEEDED = sys.version_info < (3, 12)


@pytest.mark.parametrize('settle, status', [('', 7), ('settle_before_fork()', 0 if NEEDED else 7)])
def test_threads_run_before_a_fork(settle, status):
    assert subprocess.run([sys.executable, '-c', FORKS.format(settle)], timeout=60, check=False).returncode == status
