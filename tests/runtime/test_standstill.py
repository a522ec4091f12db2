"""What a process is at, from processes that stand still for real."""

import os
import resource
import signal
import sys
import time

import pytest
from processes import started, wait_until

from clim_mm.runtime.standstill import files_read_by, standstill_of

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != 'linux', reason='Linux alone tells it')]


def hold_open(path, said):
    """Read a file, and go on with nothing."""
    with open(path, 'rb'), open(said, 'w') as note:
        note.write('open')
        note.flush()
        time.sleep(600)


def open_most(said):
    """Have nearly as many files open as may be."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(36 - len(os.listdir('/proc/self/fd')))]
    said.write_text('open')
    time.sleep(600)
    print(files)


def test_a_stopped_process_and_the_file_that_it_is_at(tmp_path):
    image, said = tmp_path / 'a.jpg', tmp_path / 'said'
    image.write_bytes(b'1')
    with started([(hold_open, (image, said))], [tmp_path / 'out']) as (process, ):
        wait_until(said.exists)
        assert str(image) in files_read_by(process.pid) and str(said) not in files_read_by(process.pid)
        others = [path for path in files_read_by(process.pid) if path != str(image)]
        found = standstill_of(process.pid, others)
        assert found.words == f'waits for its storage at {image}' and 'network file system' in found.remedy
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: standstill_of(process.pid).words.startswith('is stopped'))
        found = standstill_of(process.pid, others)
        assert str(image) in found.words and found.remedy == f'kill -CONT {process.pid} lets it go on'


def test_a_process_that_may_open_no_more_files(tmp_path):
    said = tmp_path / 'said'
    with started([(open_most, (said, ))], [tmp_path / 'out']) as (process, ):
        wait_until(said.exists)
        found = standstill_of(process.pid)
    assert ' of the 40 that it may open' in found.words and 'ulimit -n' in found.remedy


def test_a_process_that_is_gone():
    assert standstill_of(2**22 + 1).words == 'tells nothing'
