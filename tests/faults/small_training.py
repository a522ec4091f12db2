"""A training of seconds, as tools/train.py runs it, in processes that can be killed."""

import os
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional, Union

import torch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tools')]

from gloo import CONTEXT, free_port  # noqa: E402  (a server that has imported everything once forks the processes)
from prepare_digits import write_digits  # noqa: E402

CONFIG = ROOT / 'tests' / 'faults' / 'clim_small_digits.py'


def write_images(folder: Path, per_class: int = 10) -> Path:
    """The first digits of each class, in ``folder``; gives the folder."""
    write_digits(str(folder.with_name('all_digits')))
    for source in sorted((folder.with_name('all_digits') / 'train').iterdir()):
        (folder / source.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir())[:per_class]:
            shutil.copy(file, folder / source.name)
    return folder


class Training:
    """``tools/train.py`` on the small config, in one process or several, started anew or resumed.

    Args:
        images: The folder of images; None for what the config says.
        work_dir: Where log and checkpoints go.
        processes: How many.
        resume: Go on from the latest checkpoint, or from this file.
        options: Further ``--cfg-options``.
        config: Another config.
    """

    def __init__(self, images: Optional[Path], work_dir: Path, processes: int = 1, resume: Union[bool, Path] = False,
                 options: Sequence[str] = (), config: Path = CONFIG) -> None:
        arguments = [str(config), '--work-dir', str(work_dir), '--launcher', 'pytorch' if processes > 1 else 'none']
        if resume:
            arguments += ['--resume', *([str(resume)] if isinstance(resume, Path) else [])]
        if images is not None:
            options = [f'train_dataloader.dataset.dataset.data_root={images.parent}',
                       f'train_dataloader.dataset.dataset.data_prefix={images.name}', *options]
        arguments += ['--cfg-options', *options] if options else []
        self.work_dir = work_dir
        self.output = work_dir.with_suffix('.out')
        port = free_port()
        self._ranks = [CONTEXT.Process(target=_train, args=(arguments, rank, processes, port, str(self.output)))
                       for rank in range(processes)]
        for rank in self._ranks:
            rank.start()

    def wait(self, until: Optional[Callable[[], bool]] = None, timeout: float = 300.0) -> bool:
        """Wait until the training has ended, or until ``until()``; whether that came first."""
        end = time.monotonic() + timeout
        while any(rank.is_alive() for rank in self._ranks):
            if until is not None and until():
                return True
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError(f'The training did not end within {timeout:.0f} s: see {self.output}.')
            time.sleep(0.0005)
        return False

    def kill(self) -> None:
        """SIGKILL to every process of the training, their workers too."""
        for rank in self._ranks:
            try:
                os.killpg(rank.pid, signal.SIGKILL)
            except ProcessLookupError:  # has ended, or has not become the leader of its group yet
                rank.kill()
        for rank in self._ranks:
            rank.join()

    @property
    def exit_codes(self) -> list[Optional[int]]:
        """One a process; negative for a signal."""
        return [rank.exitcode for rank in self._ranks]


def _train(arguments: list[str], rank: int, processes: int, port: int, output: str) -> None:
    os.setsid()
    with open(output, 'a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    os.chdir(ROOT)
    if processes > 1:
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
            MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    sys.argv = ['tools/train.py', *arguments]
    runpy.run_path('tools/train.py', run_name='__main__')
