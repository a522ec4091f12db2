"""The folders that a training writes to: no other writes there, and they tell where a resumed one goes on from."""

import json
import os
import os.path as osp
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Optional

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from clim_mm.checkpoints.atomic_write import RUN_ID, remove_abandoned, write_atomically
from clim_mm.checkpoints.run_folder import (
    HeldFolder,
    Run,
    checkpoint_folder,
    checkpoints_of,
    marked_run,
    resume_latest,
)
from clim_mm.distributed.peer_watch import PeerWatch
from clim_mm.errors import some_of


@contextmanager
def held_folders(cfg: Config, resume: Optional[str], peers: Optional[PeerWatch]) -> Iterator[list[HeldFolder]]:
    """Hold the work dir and the folder of the checkpoints for one training, and settle where it goes on from.

    The process of rank 0 does it; the others wait for what it says, and touch nothing before.

    Args:
        cfg: Gets ``resume`` and ``load_from``.
        resume: A checkpoint; ``auto`` for the latest; None for what the config says.
        peers: As ``watch_peers`` gives them; None for a single process.

    Yields:
        The folders, that of the checkpoints first; none on other ranks than 0.

    Raises:
        CheckpointError: If another training holds one of the folders, one cannot be written to, or there are
            checkpoints that cannot be resumed from.
    """
    with ExitStack() as stack:
        if peers is None:
            yield _hold(cfg, resume, stack)
        elif int(os.environ['RANK']) == 0:
            folders = _hold(cfg, resume, stack)
            peers.tell_others(json.dumps([bool(cfg.get('resume')), cfg.get('load_from')]))
            yield folders
        else:
            cfg.resume, cfg.load_from = json.loads(peers.from_rank_0())
            yield []


def _hold(cfg: Config, resume: Optional[str], stack: ExitStack) -> list[HeldFolder]:
    paths = {osp.realpath(path): path for path in (checkpoint_folder(cfg), cfg.work_dir) if '://' not in path}
    folders = []
    for path in paths.values():
        folders.append(HeldFolder(path))
        stack.callback(folders[-1].release)
        for inside in (path, *filter(osp.isdir, (osp.join(path, name) for name in os.listdir(path)))):
            remove_abandoned(inside)
    if resume not in (None, 'auto'):
        cfg.resume, cfg.load_from = True, resume
    elif resume == 'auto' or (cfg.get('resume') and cfg.get('load_from') is None):
        resume_latest(cfg)
    return folders


class RunHook(Hook):
    """Gives a training its id: that of the checkpoint that it is resumed from, or a new one.

    It goes into the meta of each checkpoint, and from the first epoch on, when all that can be refused at a start has
    been looked at, the folders' ``run.json`` names this run as their latest, and the work dir has a copy of its config.

    Args:
        folders: As ``held_folders`` gives them.
    """

    priority = 'VERY_HIGH'

    def __init__(self, folders: Sequence[HeldFolder]) -> None:
        self._folders = folders
        self._run = Run(uuid.uuid4().hex, 1)
        self._begun = False

    def before_run(self, runner: Runner) -> None:
        """Warn of checkpoints that a fresh start will write over."""
        if not runner.cfg.get('resume'):
            self._warn(runner, 'starts anew', 'start it with --resume to go on with the earlier run, or with another '
                       '--work-dir to keep it')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on with the run of the checkpoint, if the training is resumed."""
        if not runner.cfg.get('resume'):
            return
        before, folder = marked_run(checkpoint.get('meta') or {}), self._folders[0]
        starts = [before.start, *([folder.run.start] if folder.run.id == before.id else [])]
        path = osp.abspath(runner.cfg.load_from)
        if osp.realpath(osp.dirname(path)) == osp.realpath(folder.folder):
            path = osp.basename(path)  # it stays true in a copy of the folder
        elif folder.run.id != before.id:
            self._warn(runner, f'goes on from {path}', 'start it with another --work-dir to keep that one')
        self._run = replace(before, id=before.id or self._run.id, start=max(starts) + 1, checkpoint=path)

    def _warn(self, runner: Runner, does: str, remedy: str) -> None:
        """Say what happens to the checkpoints of another run, if there are any."""
        if names := [osp.basename(path) for path in checkpoints_of(runner.cfg)]:
            runner.logger.warning(
                f'{self._folders[0].folder} has checkpoints of an earlier run ({some_of(names, 3)}), and this training '
                f'{does} and writes over them, number by number: {remedy}.')

    def before_train(self, runner: Runner) -> None:
        """Tell the id to whoever writes records."""
        runner.message_hub.update_info(RUN_ID, self._run.id)
        runner.logger.info(f'Run {self._run.id}, start {self._run.start}.')

    def before_train_epoch(self, runner: Runner) -> None:
        """Let the folders belong to this run, and the work dir have its config, as MMEngine names the copy."""
        if not self._begun:
            name = osp.basename(runner.cfg.filename or f'{runner.timestamp}.py')
            write_atomically(osp.join(runner.work_dir, name), runner.cfg.dump().encode())
            for folder in self._folders:
                folder.begin(self._run)
            self._begun = True

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Mark the checkpoint, if the folder is still this training's."""
        for folder in self._folders:
            folder.check()
        checkpoint['meta']['run'] = self._run.mark
