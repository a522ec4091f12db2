"""A process is ended from a thread, whatever its main thread does."""

import ctypes
import multiprocessing
import os
import sys
import threading
import time

import pytest
from processes import is_running, started, wait_until
from torch.utils.data import DataLoader

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
