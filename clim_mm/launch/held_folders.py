"""The folders that a training writes to: no other writes there, and they tell where a resumed one goes on from."""

import json
import os
import os.path as osp
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Optional

from mmengine.config import Config

from clim_mm.checkpoints.atomic_write import remedy, remove_abandoned
from clim_mm.checkpoints.latest import checkpoint_folder, resume_latest
from clim_mm.checkpoints.run_file import HeldFolder
from clim_mm.distributed.peer_watch import PeerWatch
from clim_mm.errors import CheckpointError, UserError

FIGURES_FILE = 'figures.json'  # of a detector's last validation


@contextmanager
def held_folders(cfg: Config, resume: Optional[str], peers: Optional[PeerWatch]) -> Iterator[list[HeldFolder]]:
    """Hold the work dir and the folder of the checkpoints for one training, and settle where it goes on from.

    The process of rank 0 does it; the others wait for what it says, and touch nothing before.

    Args:
        cfg: Of the training; ``resume`` and ``load_from`` are set.
        resume: A checkpoint; ``auto`` for the latest; None for what the config says.
        peers: The training's processes, as the context ``watch_peers`` gives them; None for a single one.

    Yields:
        The folders, that of the checkpoints first; none on other ranks than 0.

    Raises:
        CheckpointError: On every process, if another training holds one of the folders, one cannot be written to, or
            there are checkpoints that cannot be resumed from.
    """
    with ExitStack() as stack:
        if peers is None:
            yield _hold(cfg, resume, stack)
            return
        folders, said = [], ''
        if int(os.environ['RANK']) == 0:
            refusal = ''
            try:
                folders = _hold(cfg, resume, stack)
            except UserError as error:  # the others must not wait for this process
                refusal = str(error)
            said = json.dumps([refusal, bool(cfg.get('resume')), cfg.get('load_from')])
        refusal, cfg.resume, cfg.load_from = json.loads(peers.from_rank_0(said))
        if refusal:
            raise CheckpointError(refusal)
        yield folders


def _hold(cfg: Config, resume: Optional[str], stack: ExitStack) -> list[HeldFolder]:
    paths = {osp.realpath(path): path for path in (checkpoint_folder(cfg), cfg.work_dir) if '://' not in path}
    folders = []
    for path in paths.values():
        folders.append(HeldFolder(path))
        stack.callback(folders[-1].release)
        for inside in (path, *filter(osp.isdir, (osp.join(path, name) for name in os.listdir(path)))):
            remove_abandoned(inside)
    _check_places(cfg)
    if resume not in (None, 'auto'):
        cfg.resume, cfg.load_from = True, resume
    elif resume == 'auto' or (cfg.get('resume') and cfg.get('load_from') is None):
        resume_latest(cfg)
    return folders


def _check_places(cfg: Config) -> None:
    """Look at what must be written over; it would be found out after the first epochs."""
    for name in ('last_checkpoint', FIGURES_FILE, osp.basename(cfg.filename or '')):
        path = osp.join(cfg.work_dir, name)
        if name and osp.lexists(path):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                raise CheckpointError(f'Cannot write {path} ({error.strerror}){remedy(error, path)}.') from error
