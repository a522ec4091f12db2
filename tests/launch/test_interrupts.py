"""Signals that end a program, sent to real processes."""

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import time

import pytest
import torch
from processes import is_running, started, wait_until
from torch.utils.data import DataLoader, Dataset

from clim_mm.datasets import stack_collate
from clim_mm.errors import ConfigError
from clim_mm.launch import interrupts
from clim_mm.launch.commands import errors_in_a_sentence

pytestmark = pytest.mark.e2e


def wait_in_python():
    while True:
        time.sleep(0.1)


def wait_in_c():
    """Wait where no exception arrives."""
    while True:
        ctypes.CDLL(None).pause()


def wait_where_all_is_caught():
    """As MMEngine does while it formats a config."""
    try:
        wait_in_python()
    except BaseException:
        raise SyntaxError('it cannot be formatted')  # noqa: B904


def load():
    """Wait for workers, whose batches never end."""
    for _ in DataLoader(range(10**9), batch_size=2, num_workers=2, multiprocessing_context='fork'):
        pass


def command(work, variables):
    """What a command does, as a leader of its own group; a wait in C is not waited for long."""
    os.setpgid(0, 0)
    os.environ.update(variables)
    interrupts._SECONDS = 0.5
    with errors_in_a_sentence():
        print('begun', flush=True)
        work()


def said_by(tmp_path, work, number, to_group=False, **variables):
    """The exit status, and what was said after a signal."""
    output = tmp_path / f'output{len(list(tmp_path.iterdir()))}.txt'
    with started([(command, (work, variables))], [output]) as (process, ):
        wait_until(lambda: output.exists() and 'begun' in output.read_text())
        time.sleep(0.3 if work is load else 0.05)
        (os.killpg if to_group else os.kill)(process.pid, number)
        process.join(30)
        return process.exitcode, output.read_text().partition('begun\n')[2]


@pytest.mark.parametrize('work', [wait_in_python, wait_in_c, wait_where_all_is_caught])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_sentence_and_the_usual_status(tmp_path, work, number):
    assert said_by(tmp_path, work, number) == (
        128 + number, f'\nError: {signal.Signals(number).name} has ended the program.\n')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_workers_that_get_the_signal_too_say_nothing(tmp_path, number):
    assert said_by(tmp_path, load, number, to_group=True) == (
        128 + number, f'\nError: {signal.Signals(number).name} has ended the program.\n')


def test_the_first_rank_tells_the_rest_unless_torchrun_does(tmp_path):
    status = 128 + signal.SIGTERM
    assert said_by(tmp_path, wait_in_python, signal.SIGTERM, RANK='3') == (
        status, '\nError: SIGTERM has ended rank 3.\n')
    assert said_by(tmp_path, wait_in_c, signal.SIGTERM, TORCHELASTIC_RUN_ID='none') == (status, '')


def under_nohup(said):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with errors_in_a_sentence():
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(0.2)
        said.write_text('goes on')


def test_an_ignored_signal_stays_ignored(tmp_path):
    said = tmp_path / 'said'
    with started([(under_nohup, (said, ))], [tmp_path / 'out']) as (process, ):
        process.join(30)
        assert process.exitcode == 0 and said.read_text() == 'goes on'


def print_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    with errors_in_a_sentence():
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65536))


@pytest.mark.skipif(sys.platform == 'win32', reason='there is no such limit')
def test_every_command_may_open_more_files(tmp_path):
    with started([(print_limit, ())], [tmp_path / 'out']) as (process, ):
        process.join(30)
    assert (tmp_path / 'out').read_text() == 'True\n'


def share_too_much():
    """Have a worker make a batch of more than a file may hold."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    with errors_in_a_sentence():
        list(DataLoader(['x', 'y'], num_workers=1, collate_fn=_large, multiprocessing_context='fork'))


def _large(_):
    return stack_collate([torch.zeros(10**6), torch.zeros(10**6)])


class Decoded(Dataset):
    """Samples that take a while, so that a worker is hardly ever killed with a lock in its hands."""

    def __len__(self):
        return 10**9

    def __getitem__(self, sample_idx):
        time.sleep(0.1)
        return sample_idx


def fail_after_words():
    """With a stdout that is no terminal, as Python opens it."""
    sys.stdout = open(os.dup(1), 'w')
    with errors_in_a_sentence():
        print('words')
        raise ConfigError('A setting is wrong.')


def test_the_sentence_comes_last_in_a_file_of_all_that_is_said(tmp_path):
    with started([(fail_after_words, ())], [tmp_path / 'out']) as (process, ):
        process.join(60)
    assert (tmp_path / 'out').read_text().split() == ['words', 'Error:', 'A', 'setting', 'is', 'wrong.']


def kill_worker():
    with errors_in_a_sentence():
        for _ in DataLoader(Decoded(), num_workers=1, multiprocessing_context='fork'):
            multiprocessing.active_children()[0].kill()


@pytest.mark.parametrize('work, words', [
    (share_too_much, 'Error: The memory that workers share (/dev/shm) is full or cannot be had ('),
    (kill_worker, 'Error: A worker process was killed, by')])
def test_what_happens_to_workers_ends_in_its_own_sentence(tmp_path, work, words):
    with started([(work, ())], [tmp_path / 'out']) as (process, ):
        process.join(60)
        assert process.exitcode == 1 and not is_running(process.pid)
    said = (tmp_path / 'out').read_text()
    assert said.startswith(words) and len(said.splitlines()) == 1
