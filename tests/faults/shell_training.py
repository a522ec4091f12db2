"""A training of seconds, started from the shell, so that it can be disturbed as a user's is."""

import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Optional

from small_training import CONFIG, ROOT


class ShellTraining:
    """``tools/train.py``, or ``tools/dist_train.sh`` for several processes, on the small config.

    Args:
        images: The folder of images.
        work_dir: Where log and checkpoints go.
        processes: How many.
        arguments: Further ones of the command.
        options: Further ``--cfg-options``.
        before: A line of shell that is run first.
        output: What it prints is appended there. Defaults to a file beside the work dir.
        config: Another config.
    """

    def __init__(self, images: Path, work_dir: Path, processes: int = 1, arguments: Sequence[str] = (),
                 options: Sequence[str] = (), before: str = ':', output: Optional[Path] = None,
                 config: Path = CONFIG) -> None:
        start = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config)]
        if processes > 1:
            start = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), str(processes)]
        words = [*start, '--work-dir', str(work_dir), *arguments, '--cfg-options',
                 f'train_dataloader.dataset.dataset.data_root={images.parent}',
                 f'train_dataloader.dataset.dataset.data_prefix={images.name}', *options]
        self.work_dir, self.output = work_dir, output or work_dir.with_suffix('.out')
        self._mark = f'DISTURBED={uuid.uuid4().hex}'  # torchrun gives its ranks sessions of their own
        name, _, value = self._mark.partition('=')
        environment = dict(os.environ, PYTHON=sys.executable, OMP_NUM_THREADS='1', **{name: value})
        with open(self.output, 'a') as file:
            self._process = subprocess.Popen(
                ['bash', '-c', f'{before} && exec {shlex.join(words)}'], stdout=file, stderr=subprocess.STDOUT,
                env=environment, preexec_fn=_hear_signals)

    @property
    def pid(self) -> int:
        """Of the program, or of torchrun."""
        return self._process.pid

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors='replace') if self.output.exists() else ''

    def alive(self) -> list[int]:
        """All its processes that have not ended."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc'))) if _is_alive(pid, self._mark)]

    def children(self, of: Optional[int] = None) -> list[int]:
        """Processes that it, or another process of its own, has started itself: ranks, DataLoader workers."""
        return [pid for pid in self.alive() if _parent(pid) == (of or self.pid)]

    def wait(self, until: Callable[[], bool] = lambda: False, seconds: float = 240.0) -> Optional[int]:
        """The exit status when it has ended; None if ``until()`` came first.

        Raises:
            RuntimeError: If neither comes.
        """
        end = time.monotonic() + seconds
        while (status := self._process.poll()) is None:
            if until():
                return None
            if time.monotonic() > end:
                self.kill()
                raise RuntimeError(f'hangs:\n{self.text[-2000:]}')
            time.sleep(0.01)
        return status

    def signal(self, number: int) -> None:
        """Send a signal to the program itself."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to all that is left of it."""
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        self._process.wait()


def _hear_signals() -> None:
    """Even if this program was started in the background, where a shell has it ignore them."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _is_alive(pid: int, mark: str) -> bool:
    try:
        return mark.encode() in Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')  # empty for a zombie
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[1])
    except OSError:
        return 0
