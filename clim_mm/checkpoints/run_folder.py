"""Which run a folder of checkpoints belongs to, and which process trains in it now: the file ``run.json``."""

import errno
import json
import logging
import os
import os.path as osp
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from mmengine.logging import MessageHub, print_log

from clim_mm.errors import CheckpointError
from clim_mm.storage import try_lock

from .atomic_write import remedy

RUN_FILE = 'run.json'
RUN_ID = 'run_id'  # a field of records, and of MMEngine's message hub
_MOST_BYTES = 1 << 16
_held: dict[tuple[int, int], int] = {}  # descriptors of the files that this process holds


@dataclass(frozen=True)
class Run:
    """A run, and its latest start. A resumed run is the same run, started once more.

    Attributes:
        id: Empty if no run has begun in the folder yet.
        start: How many times it has been started.
        iter: Iterations of the checkpoint that this start goes on from; 0 without one.
        checkpoint: That checkpoint, by its name if it lies in the folder; empty without one.
        host, pid, started: Of the process that holds the folder, or held it last, and since when.
    """

    id: str = ''
    start: int = 0
    iter: int = 0
    checkpoint: str = ''
    host: str = ''
    pid: int = 0
    started: str = ''

    def owns(self, meta: Mapping[str, Any]) -> bool:
        """Whether a checkpoint is of this run, and not of a part of it that was given up for an earlier checkpoint."""
        other = marked_run(meta)
        return other.id == self.id and (other.start >= self.start or other.iter <= self.iter)

    @property
    def mark(self) -> dict[str, Any]:
        """What a checkpoint's meta has as ``run``."""
        return dict(id=self.id, start=self.start)


def marked_run(meta: Mapping[str, Any]) -> Run:
    """The run that a checkpoint's meta tells; old checkpoints and those of other programs have no ``id``."""
    mark = meta.get('run')
    if not isinstance(mark, Mapping) or not isinstance(mark.get('start'), int):
        mark = dict(id='', start=0)
    return Run(str(mark.get('id', '')), mark['start'], iterations(meta))


def iterations(meta: Mapping[str, Any]) -> int:
    """How many a checkpoint has behind it, as far as its meta tells."""
    return meta['iter'] if isinstance(meta.get('iter'), int) else 0


def run_id() -> dict[str, Any]:
    """The id of this process's training as a field of a record; nothing if it has none."""
    known = MessageHub.get_current_instance().get_info(RUN_ID)
    return {} if known is None else {RUN_ID: known}


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
    """A folder that this process trains in, and no other; ``run`` is its latest run.

    Raises:
        CheckpointError: If another process holds the folder, or it cannot be written to.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = osp.join(folder, RUN_FILE)
        if osp.exists(self._path) and _identity(os.stat(self._path)) in _held:
            raise CheckpointError(f'{folder} is in use by this process: choose another --work-dir.')
        try:
            os.makedirs(folder, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            locked = try_lock(self._file)
            before = _parsed(os.pread(self._file, _MOST_BYTES, 0))
        except OSError as error:
            raise self._cannot_write(error) from error
        if locked is None:
            print_log(f'The file system of {folder} knows no locks: see to it yourself that no other training writes '
                      'there.', logger='current', level=logging.WARNING)
        if locked is False:
            self.release()
            owner = f'process {before.pid} on {before.host}' if before.host else 'another process'
            raise CheckpointError(
                f'{folder} is in use by a training ({owner}, since {before.started or "now"}): wait for its end, end '
                f'it, or choose another --work-dir; if that machine is lost, delete {self._path}.')
        _held[_identity(os.fstat(self._file))] = self._file
        self.run = replace(before, host=socket.gethostname(), pid=os.getpid(),
                           started=datetime.now().astimezone().isoformat(timespec='seconds'))
        try:
            self._write()
        except CheckpointError:
            self.release()
            raise

    def begin(self, run: Run) -> None:
        """Let the latest run of the folder be this one; its ``host``, ``pid`` and ``started`` do not count."""
        self.run = replace(run, host=self.run.host, pid=self.run.pid, started=self.run.started)
        self._write()

    def check(self) -> None:
        """Check that nobody has taken the folder meanwhile, as happens to a machine that counts as lost."""
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
