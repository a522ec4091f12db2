"""Which run a folder of checkpoints belongs to, and which process holds it now: the file ``run.json``."""

import errno
import json
import logging
import os
import os.path as osp
import socket
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime

from mmengine.logging import print_log

from clim_mm.errors import CheckpointError
from clim_mm.file_lock import try_lock

from .atomic_write import remedy
from .run import Run

RUN_FILE = 'run.json'
_MOST_BYTES = 1 << 16
_held: dict[tuple[int, int], int] = {}  # descriptors of the files that this process holds


def read_run(folder: str) -> Run:
    """What a folder tells of its latest run; nothing if it has no such file, or a damaged one."""
    path = osp.join(folder, RUN_FILE)
    with suppress(OSError):
        if (held := _held.get(_identity(os.stat(path)))) is not None:
            return _parsed(os.pread(held, _MOST_BYTES, 0))  # to close another descriptor would end the lock
        if osp.isfile(path):  # not a pipe, which would have us wait
            with open(path, 'rb') as file:
                return _parsed(file.read(_MOST_BYTES))
    return Run()


class HeldFolder:
    """A folder that this process trains in, and no other.

    Args:
        folder: It is made if it is not there.

    Attributes:
        run: The latest run of the folder.

    Raises:
        CheckpointError: If another process holds the folder, or it cannot be written to.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = osp.join(folder, RUN_FILE)
        try:
            os.makedirs(folder, exist_ok=True)
            if osp.exists(self._path) and _identity(os.stat(self._path)) in _held:
                raise CheckpointError(f'{folder} is in use by this process: choose another --work-dir.')
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            locked = try_lock(self._file)
            before = _parsed(os.pread(self._file, _MOST_BYTES, 0))
        except CheckpointError:
            raise
        except OSError as error:
            raise self._cannot_write(error) from error
        host = socket.gethostname()
        if locked is None:
            print_log(f'The file system of {folder} knows no locks: see to it yourself that no other training writes '
                      'there.', logger='current', level=logging.WARNING)
        if locked is False or (locked is None and before.host == host and _is_alive(before.pid)):
            self.release()
            owner = f'process {before.pid} on {before.host}' if before.host else 'another process'
            raise CheckpointError(
                f'{folder} is in use by a training ({owner}, since {before.started or "now"}): wait for its end, end '
                f'it, or choose another --work-dir; if that machine is lost, delete {self._path}.')
        _held[_identity(os.fstat(self._file))] = self._file
        self.run = replace(before, host=host, pid=os.getpid(),
                           started=datetime.now().astimezone().isoformat(timespec='seconds'))
        try:
            self._write()
        except CheckpointError:
            self.release()
            raise

    def begin(self, run: Run) -> None:
        """Let the latest run of the folder be this one.

        Args:
            run: Whose ``host``, ``pid`` and ``started`` do not count.
        """
        self.run = replace(run, host=self.run.host, pid=self.run.pid, started=self.run.started)
        self._write()

    def check(self) -> None:
        """Check that nobody has taken the folder meanwhile, as happens to a machine that counts as lost.

        Raises:
            CheckpointError: If another process is named as its holder.
        """
        now = read_run(self.folder)
        if now.pid and (now.host, now.pid, now.started) != (self.run.host, self.run.pid, self.run.started):
            raise CheckpointError(f'{self.folder} was taken by another training (process {now.pid} on {now.host}, '
                                  f'since {now.started}): this one ends, and writes nothing more there.')

    def release(self) -> None:
        """Let other processes have the folder."""
        _held.pop(_identity(os.fstat(self._file)), None)
        os.close(self._file)

    def _write(self) -> None:
        # In place, since the lock is this file's; what is left of a longer text before it is not read.
        content = json.dumps(asdict(self.run), indent=1).encode() + b'\n'
        try:
            if os.pwrite(self._file, content, 0) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(self._file, len(content))
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> CheckpointError:
        return CheckpointError(f'Cannot write {self._path} ({error.strerror}){remedy(error, self._path)}.')


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _parsed(content: bytes) -> Run:
    try:
        values, _ = json.JSONDecoder().raw_decode(content.decode())
        return Run(**{name: kind(values[name]) for name, kind in Run.__annotations__.items()})
    except (ValueError, TypeError, KeyError, RecursionError):
        return Run()


def _is_alive(pid: int) -> bool:
    """Whether there is another process of this number here."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH  # it may be somebody else's
    return pid != os.getpid()  # in containers numbers come again
