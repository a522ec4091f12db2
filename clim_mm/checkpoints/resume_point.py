"""Which checkpoint of a work dir a training goes on from."""

import logging
import os
import os.path as osp
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Optional

from mmengine.config import Config
from mmengine.logging import print_log

from clim_mm.errors import CheckpointError, DamagedCheckpoint, some_of
from clim_mm.storage import names_in

from .atomic_write import kind_of
from .reading import read_checkpoint
from .run_folder import Run, iterations, marked_run, read_run

NAMES = ('epoch_{}.pth', 'iter_{}.pth')  # MMEngine's, for checkpoints by epoch and by iteration


def latest_checkpoint(work_dir: str, names: Sequence[str] = NAMES) -> Optional[str]:
    """The newest whole checkpoint of a folder's latest run; others are passed over with a warning.

    The folder's ``run.json`` tells which run that is, or without it the checkpoint that MMEngine's ``last_checkpoint``
    names. If neither does, as with checkpoints of other programs, all count. Then the numbers in the names decide:
    ``last_checkpoint`` is written after the checkpoint, and can be lost or cut off itself.

    Args:
        names: How checkpoints are called, with ``{}`` for the number. Of several names, the one with more iterations
            behind it is taken.

    Returns:
        Its path. If the run has none, the path of the one that it has begun from, and None if that is not there or the
        folder has no checkpoints.

    Raises:
        CheckpointError: If all are damaged or of an earlier run, or one needs something that is not data.
    """
    found = [_numbered(work_dir, name) for name in names]
    run = read_run(work_dir)
    last = osp.join(work_dir, osp.basename(_last_checkpoint(work_dir)))  # the folder may have been copied or moved
    if any(found) and not run.id and osp.isfile(last):
        with suppress(OSError):
            run = marked_run(_meta(last))
    foreign: list[str] = []
    readable = [newest for paths in found if (newest := _newest_readable(paths, run, foreign))]
    if readable:
        return max(readable)[1]
    source = run.checkpoint
    if osp.isabs(source) and osp.isfile(source) and iterations(_meta(source)) == run.iter:
        return source
    if foreign:
        raise CheckpointError(
            f'The latest run in {work_dir} has left no whole checkpoint, and what is there is of an earlier one '
            f'({some_of(sorted(map(osp.basename, foreign)), 3)}): give the file to go on from by --resume FILE, leave '
            'out --resume to start anew, or choose another --work-dir.')
    if any(found):
        raise CheckpointError(f'All checkpoints in {work_dir} are damaged: delete them to start from the beginning, or '
                              'choose another work_dir.')
    return None


def checkpoint_folder(cfg: Config) -> str:
    """Where the checkpoints of a config's training go: its ``work_dir``, or what the CheckpointHook makes of it."""
    out_dir = _checkpoint_hook(cfg).get('out_dir')
    return osp.join(out_dir, osp.basename(cfg.work_dir.rstrip(os.sep))) if out_dir else cfg.work_dir


def checkpoints_of(cfg: Config) -> list[str]:
    """The checkpoints in that folder, whole or not, of whatever run."""
    return [path for name in _names(cfg) for path in _numbered(checkpoint_folder(cfg), name)]


def resume_latest(cfg: Config) -> None:
    """Set a config's ``resume`` and ``load_from`` to the latest checkpoint of its ``work_dir``, if it has any.

    Raises:
        CheckpointError: As for ``latest_checkpoint``; or if MMEngine's ``last_checkpoint`` names one that is elsewhere,
            or is called otherwise, than the config's are.
    """
    folder = checkpoint_folder(cfg)
    path = latest_checkpoint(folder, _names(cfg))
    if path is not None:
        cfg.resume, cfg.load_from = True, path
        return
    last, run = _last_checkpoint(cfg.work_dir), read_run(cfg.work_dir)
    there = next(filter(osp.isfile, (osp.join(cfg.work_dir, osp.basename(last)), last)), None)  # it may be a copy
    if there and (not run.id or run.owns(_meta(there))):
        raise CheckpointError(
            f'There is no checkpoint in {folder} that is called {" or ".join(_names(cfg))}, but the last one of '
            f'{cfg.work_dir} is {there}: go on with it by --resume {there}, or leave out --resume to start anew.')
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
    matches = filter(None, map(pattern.fullmatch, names_in(folder)))
    paths = [osp.join(folder, match[0]) for match in sorted(matches, key=lambda match: int(match[1]), reverse=True)]
    for path in paths:
        if not osp.isfile(path):
            _warn(f'Passed over: {path} is a {kind_of(path)}, not a checkpoint; a training that comes to its number '
                  'needs the name.')
    return list(filter(osp.isfile, paths))


def _newest_readable(paths: Sequence[str], run: Run, foreign: list[str]) -> Optional[tuple[int, str]]:
    """The iterations behind the first file that is whole and the run's (any, if it has no id), and its path.

    Whole files before it that are not the run's are added to ``foreign``.
    """
    for path in paths:
        try:
            meta = _meta(path)
        except DamagedCheckpoint as error:
            _warn(f'Passed over: {error}')
            continue
        begun_here = osp.basename(path) == run.checkpoint and iterations(meta) == run.iter
        if not run.id or run.owns(meta) or begun_here:
            return iterations(meta), path
        _warn(f'Passed over: {path} is not of the latest run in its folder, or of a part of it that was given up.')
        foreign.append(path)
    return None


def _last_checkpoint(folder: str) -> str:
    """The path in MMEngine's ``last_checkpoint``; empty if there is none."""
    path = osp.join(folder, 'last_checkpoint')
    with suppress(OSError, ValueError):
        if osp.isfile(path):  # not a pipe, which would have us wait
            with open(path) as file:
                return file.read(1 << 12).strip()
    return ''


def _meta(path: str) -> Mapping:
    meta = read_checkpoint(path).get('meta')
    return meta if isinstance(meta, Mapping) else {}


def _warn(sentence: str) -> None:
    print_log(sentence, logger='current', level=logging.WARNING)
