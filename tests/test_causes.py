"""What the machine has done, from the errors that it really raises."""

import errno
import os
import socket

import pytest
import torch

from clim_mm.causes import cause_of, machine_error
from clim_mm.errors import MachineError


def text_of(call, *args):
    """The sentence on the error that a call ends with."""
    with pytest.raises(BaseException) as caught:
        call(*args)
    cause = cause_of(caught.value)
    return cause and cause.sentence


def raise_error(error):
    raise error


@pytest.mark.parametrize('number, remedy', [
    (errno.EMFILE, 'ulimit -n'), (errno.ENFILE, 'ulimit -n'), (errno.ENOSPC, 'make room there'),
    (errno.EDQUOT, 'make room there'), (errno.EROFS, 'mounted for writing'), (errno.EACCES, 'permissions'),
    (errno.EPERM, 'permissions'), (errno.ESTALE, 'network file system'), (errno.EIO, 'is sound'),
    (errno.ETIMEDOUT, 'network file system'), (errno.ENOMEM, 'fewer workers'), (errno.EFBIG, 'ulimit -f'),
    (errno.EAGAIN, 'ulimit -u'),
])
def test_an_error_about_a_file(number, remedy):
    found = text_of(raise_error, OSError(number, os.strerror(number), 'work_dirs/log.txt'))
    assert remedy in found and os.strerror(number) in found and 'work_dirs/log.txt' in found
    # As a DataLoader worker sends it: only the words are left.
    wrapped = OSError(f'Caught OSError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  '
                      f'File "a.py", line 3, in b\n    read_only()\nOSError: [Errno {number}] {os.strerror(number)}: '
                      '\'work_dirs/log.txt\'\n')
    again = text_of(raise_error, wrapped)
    assert remedy in again and 'a.py' not in again and len(again.splitlines()) == 1


@pytest.mark.parametrize('error', [
    FileNotFoundError(errno.ENOENT, 'No such file or directory', '/a'), ValueError('a'), RuntimeError('shapes differ'),
    PermissionError(errno.EACCES, 'Permission denied'), KeyError('memory'), OSError('odd'),
    FileNotFoundError(errno.ENOENT, 'No such file or directory', '/dev/shm/images/a.png')])
def test_what_is_not_the_machines_is_not_explained(error):
    assert text_of(raise_error, error) is None
    assert machine_error(error) is None


@pytest.mark.parametrize('text, remedy', [
    ('CUDA out of memory. Tried to allocate 2.00 GiB', 'accumulative_counts'),
    ('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate', 'accumulative_counts'),
    ('DataLoader worker (pid 7) is killed by signal: Killed. ', 'dmesg'),
    ('DataLoader worker (pid(s) 7, 8) exited unexpectedly', 'dmesg'),
    ('DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader\'s workers are out of '
     'shared memory. Please try to raise your shared memory limit.', '--shm-size'),
    ('DataLoader worker (pid 7) is killed by signal: Segmentation fault. ', 'num_workers=0'),
    ('unable to open shared memory object </torch_7_8_9> in read-write mode: Too many open files (24)', 'ulimit -n'),
    ('unable to write to file </torch_7_8_9>: No space left on device (28)', '--shm-size'),
    ('unable to mmap 64 bytes from file </torch_7_8_9>: Cannot allocate memory (12)', 'ulimit -v'),
    ('received 0 items of ancdata', 'ulimit -n'),
    ('[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can\'t allocate memory: you tried to allocate '
     '64 bytes.', 'fewer workers'),
    ('can\'t start new thread', 'ulimit -u'),
])
def test_words_of_torch(text, remedy):
    found = text_of(raise_error, RuntimeError(text))
    assert remedy in found


def test_the_cause_behind_another_error():
    def fail():
        try:
            raise OSError(errno.ENOSPC, 'No space left on device', '/disk/a')
        except OSError as error:
            raise ValueError('cannot do it') from error

    assert 'make room' in text_of(fail)


def test_a_machines_error_stays_one():
    first = machine_error(OSError(errno.EROFS, 'Read-only file system', '/a'))
    assert isinstance(first, MachineError) and machine_error(first) is first


def test_real_errors_of_memory_ports_and_pipes():
    assert 'fewer workers' in text_of(bytearray, 2**62)
    assert 'fewer workers' in text_of(torch.empty, 2**60)
    with socket.create_server(('127.0.0.1', 0)) as server:
        assert 'PORT=' in text_of(socket.create_server, server.getsockname())
    hear, tell = os.pipe()
    os.close(hear)
    assert 'another machine or process does not answer' in text_of(os.write, tell, b'a')
    os.close(tell)
