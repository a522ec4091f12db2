"""A folder of checkpoints: whose run they are, which process trains there, and which one a training goes on from."""

import json
import logging
import os
import os.path as osp
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Optional

from mmengine.config import Config
from mmengine.logging import print_log

from clim_mm.errors import CheckpointError, DamagedCheckpoint
from clim_mm.storage import names_in, try_lock

from .atomic_write import remedy
from .reading import read_checkpoint

RUN_FILE = 'run.json'
NAMES = ('epoch_{}.pth', 'iter_{}.pth')  # MMEngine's, for checkpoints by epoch and by iteration
_MOST_BYTES = 1 << 16
_held: dict[tuple[int, int], int] = {}  # descriptors of the files that this process holds


@dataclass(frozen=True)
class Run:
    """A run, and its latest start. A resumed run is the same run, started once more."""

    id: str = ''  # empty if no run has begun in the folder yet
    start: int = 0  # how many times it has been started
    iter: int = 0  # iterations of the checkpoint that this start goes on from
    checkpoint: str = ''  # that checkpoint, by its name if it lies in the folder
    host: str = ''  # of the process that holds the folder, or held it last
    pid: int = 0
    started: str = ''  # since when

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
    mark = meta.get('run') or {}
    return Run(mark.get('id', ''), mark.get('start', 0), meta.get('iter', 0))


def read_run(folder: str) -> Run:
    """What a folder tells of its latest run; nothing if it has no such file, or a damaged one."""
    path = osp.join(folder, RUN_FILE)
    with suppress(OSError):
        if (held := _held.get(_identity(os.stat(path)))) is not None:
            return _parsed(os.pread(held, _MOST_BYTES, 0))  # to close another descriptor would end the lock
        with open(path, 'rb') as file:
            return _parsed(file.read(_MOST_BYTES))
    return Run()


class HeldFolder:
    """A folder that this process trains in, and no other; ``run`` is its latest run."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._path = osp.join(folder, RUN_FILE)
        try:
            os.makedirs(folder, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            locked = try_lock(self._file)
            before = _parsed(os.pread(self._file, _MOST_BYTES, 0))
        except OSError as error:
            raise CheckpointError(
                f'Cannot write {self._path} ({error.strerror}){remedy(error, self._path)}.') from error
        if locked is False:
            self.release()
            owner = f'process {before.pid} on {before.host}' if before.host else 'another process'
            raise CheckpointError(
                f'{folder} is in use by a training ({owner}, since {before.started or "now"}): wait for its end, end '
                f'it, or choose another --work-dir; if that machine is lost, delete {self._path}.')
        _held[_identity(os.fstat(self._file))] = self._file
        self.run = replace(before, host=socket.gethostname(), pid=os.getpid(),
                           started=datetime.now().astimezone().isoformat(timespec='seconds'))
        self._write()

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
        content = json.dumps(asdict(self.run), indent=1).encode() + b'\n'
        os.pwrite(self._file, content, 0)  # in place, since the lock is this file's
        os.ftruncate(self._file, len(content))


def latest_checkpoint(work_dir: str, names: Sequence[str] = NAMES) -> Optional[str]:
    """The newest whole checkpoint of a folder's latest run, or the one that the run has begun from; None without any.

    ``run.json`` tells which run that is, or else the checkpoint that MMEngine's ``last_checkpoint`` names. Without both
    all runs count. Checkpoints are called by ``names``, with ``{}`` for the number; of several, more iterations win.
    """
    found = [_numbered(work_dir, name) for name in names]
    run = read_run(work_dir)
    last = osp.join(work_dir, osp.basename(_last_checkpoint(work_dir)))  # the folder may have been copied or moved
    if not run.id and any(last in paths for paths in found):
        with suppress(DamagedCheckpoint):
            run = marked_run(_meta(last))
    if readable := [newest for paths in found if (newest := _newest_readable(paths, run))]:
        return max(readable)[1]
    source = run.checkpoint
    if osp.isabs(source) and osp.isfile(source) and _meta(source).get('iter', 0) == run.iter:
        return source
    if any(found):
        raise CheckpointError(
            f'No checkpoint in {work_dir} is whole and of the latest run there: give the file to go on from by '
            '--resume FILE, leave out --resume to start anew, or choose another --work-dir.')
    return None


def checkpoint_folder(cfg: Config) -> str:
    """Where the checkpoints of a config's training go: its ``work_dir``, or what the CheckpointHook makes of it."""
    out_dir = _checkpoint_hook(cfg).get('out_dir')
    return osp.join(out_dir, osp.basename(cfg.work_dir.rstrip(os.sep))) if out_dir else cfg.work_dir


def checkpoints_of(cfg: Config) -> list[str]:
    """The checkpoints in that folder, whole or not, of whatever run."""
    return [path for name in _names(cfg) for path in _numbered(checkpoint_folder(cfg), name)]


def resume_latest(cfg: Config) -> None:
    """Set a config's ``resume`` and ``load_from`` to the latest checkpoint of its ``work_dir``, if it has any."""
    folder = checkpoint_folder(cfg)
    path = latest_checkpoint(folder, _names(cfg))
    if path is not None:
        cfg.resume, cfg.load_from = True, path
        return
    if osp.isfile(last := _last_checkpoint(cfg.work_dir)):
        raise CheckpointError(f'There is no checkpoint {" or ".join(_names(cfg))} in {folder}, but the last one is '
                              f'{last}: go on with it by --resume {last}, or leave out --resume to start anew.')
    if cfg.get('load_from') is None:
        cfg.resume = False
    _warn(f'There is no checkpoint in {folder} to resume from: the training starts from '
          f'{cfg.get("load_from") or "the beginning"}.')


def _checkpoint_hook(cfg: Config) -> dict:
    return (cfg.get('default_hooks') or {}).get('checkpoint') or {}


def _names(cfg: Config) -> Sequence[str]:
    name = _checkpoint_hook(cfg).get('filename_tmpl')
    return [name] if name else NAMES


def _numbered(folder: str, name: str) -> list[str]:
    """The files of a name, from the highest number on."""
    pattern = re.compile(re.escape(name).replace(r'\{\}', r'(\d+)'))
    matches = [match for name in names_in(folder) if (match := pattern.fullmatch(name))]
    matches.sort(reverse=True, key=lambda match: int(match[1]))
    return list(filter(osp.isfile, (osp.join(folder, match[0]) for match in matches)))


def _newest_readable(paths: Sequence[str], run: Run) -> Optional[tuple[int, str]]:
    """The iterations behind the first file that is whole and the run's (any, if it has no id), and its path."""
    for path in paths:
        try:
            meta = _meta(path)
        except DamagedCheckpoint as error:
            _warn(f'Passed over: {error}')
            continue
        begun_here = osp.basename(path) == run.checkpoint and meta.get('iter', 0) == run.iter
        if not run.id or run.owns(meta) or begun_here:
            return meta.get('iter', 0), path
        _warn(f'Passed over: {path} is not of the latest run in its folder, or of a part of it that was given up.')
    return None


def _last_checkpoint(folder: str) -> str:
    """The path in MMEngine's ``last_checkpoint``; empty if there is none."""
    with suppress(OSError, ValueError), open(osp.join(folder, 'last_checkpoint')) as file:
        return file.read().strip()
    return ''


def _meta(path: str) -> Mapping:
    return read_checkpoint(path).get('meta') or {}


def _warn(sentence: str) -> None:
    print_log(sentence, logger='current', level=logging.WARNING)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _parsed(content: bytes) -> Run:
    try:
        values, _ = json.JSONDecoder().raw_decode(content.decode())
        return Run(**{name: kind(values[name]) for name, kind in Run.__annotations__.items()})
    except (ValueError, TypeError, KeyError, RecursionError):
        return Run()
