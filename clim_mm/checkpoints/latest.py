"""Which checkpoint a run goes on from."""

import logging
import os
import os.path as osp
import re
from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config
from mmengine.logging import print_log

from clim_mm.errors import CheckpointError, DamagedCheckpoint
from clim_mm.storage import names_in

from .reading import read_checkpoint

NAMES = ('epoch_{}.pth', 'iter_{}.pth')  # MMEngine's, for checkpoints by epoch and by iteration


def latest_checkpoint(work_dir: str, names: Sequence[str] = NAMES) -> Optional[str]:
    """The newest checkpoint of a folder that can be read; a damaged one is passed over with a warning.

    The numbers in the names decide. MMEngine's ``last_checkpoint`` is not asked: it is written after the checkpoint,
    and can be lost or cut off itself.

    Args:
        work_dir: The folder; it need not be there.
        names: How checkpoints are called, with ``{}`` for the number. If there are several of each name, the one with
            more iterations behind it is taken.

    Returns:
        Its path, or None if the folder has no checkpoints.

    Raises:
        CheckpointError: If there are checkpoints, but every one is damaged, or one needs something that is not data.
    """
    found = [_numbered(work_dir, name) for name in names]
    readable = [newest for newest in map(_newest_readable, found) if newest is not None]
    if not readable and any(found):
        raise CheckpointError(f'All checkpoints in {work_dir} are damaged: delete them to start from the beginning, or '
                              'choose another work_dir.')
    return max(readable)[1] if readable else None


def resume_latest(cfg: Config) -> None:
    """Let a config's training go on from the latest checkpoint of its ``work_dir``, or start as the config says.

    Args:
        cfg: The config; ``resume`` and ``load_from`` are set.

    Raises:
        CheckpointError: As for ``latest_checkpoint``.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folder = cfg.work_dir
    if hook.get('out_dir'):
        folder = osp.join(hook['out_dir'], osp.basename(folder.rstrip(os.sep)))
    path = latest_checkpoint(folder, [hook['filename_tmpl']] if hook.get('filename_tmpl') else NAMES)
    if path is not None:
        cfg.resume, cfg.load_from = True, path
        return
    if cfg.get('load_from') is None:
        cfg.resume = False
    print_log(f'There is no checkpoint in {folder} to resume from: the training starts from '
              f'{cfg.get("load_from") or "the beginning"}.', logger='current', level=logging.WARNING)


def _numbered(folder: str, name: str) -> list[str]:
    """The files of a name, from the highest number on."""
    pattern = re.compile(re.escape(name).replace(r'\{\}', r'(\d+)'))
    matches = filter(None, map(pattern.fullmatch, names_in(folder)))
    return [osp.join(folder, match[0]) for match in sorted(matches, key=lambda match: int(match[1]), reverse=True)]


def _newest_readable(paths: Sequence[str]) -> Optional[tuple[int, str]]:
    """The first of the files that is not damaged, with the iterations behind it."""
    for path in paths:
        try:
            checkpoint = read_checkpoint(path)
        except DamagedCheckpoint as error:
            print_log(f'Passed over: {error}', logger='current', level=logging.WARNING)
            continue
        return int(checkpoint.get('meta', {}).get('iter', 0)), path
    return None
