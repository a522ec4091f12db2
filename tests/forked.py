"""Programs of this repository in processes forked from a server that has imported what they need.

A Python of its own takes seconds to import torch and the host framework, a forked process none. What only a start from
the shell can show (imports, the version gate, missing packages, limits of memory) is tested by such a start.
"""

import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Optional

import torch
from gloo import CONTEXT, free_port

ROOT = Path(__file__).parents[1]


class ForkedProgram:
    """A Python program that runs as from the command line, in one process or in several as torchrun starts them.

    Args:
        program: Path of the program, absolute or relative to the repository.
        arguments: Its command line.
        output: File to which the stdout and stderr of all its processes are appended.
        processes: How many; more than one have torchrun's environment variables.
        folder: The working directory.
        variables: Environment variables to set.
    """

    def __init__(self, program: str, arguments: Sequence[object], output: Path, processes: int = 1,
                 folder: Path = ROOT, variables: Optional[Mapping[str, str]] = None) -> None:
        self.output = output
        shared = dict(variables or {})
        if processes > 1:
            shared.update(WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes), MASTER_ADDR='127.0.0.1',
                          MASTER_PORT=str(free_port()))
        words = [str(word) for word in arguments]
        self._ranks = [
            CONTEXT.Process(target=_run, args=(
                str(ROOT / program), words, str(output), str(folder),
                shared if processes == 1 else dict(shared, RANK=str(rank), LOCAL_RANK=str(rank))))
            for rank in range(processes)
        ]
        for rank in self._ranks:
            rank.start()

    def wait(self, until: Optional[Callable[[], bool]] = None, timeout: float = 300.0) -> bool:
        """Wait until the program has ended, or until ``until()``; whether that came first.

        Raises:
            TimeoutError: After ``timeout`` seconds; the program is killed.
        """
        end = time.monotonic() + timeout
        while any(rank.is_alive() for rank in self._ranks):
            if until is not None and until():
                return True
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError(f'The program did not end within {timeout:.0f} s: see {self.output}.')
            time.sleep(0.0005 if until is not None else 0.01)
        return False

    def kill(self) -> None:
        """SIGKILL to every process of the program, its children too."""
        for rank in self._ranks:
            try:
                os.killpg(rank.pid, signal.SIGKILL)
            except ProcessLookupError:  # has ended, or does not lead its group yet
                rank.kill()
        for rank in self._ranks:
            rank.join()

    @property
    def pids(self) -> list[int]:
        """Of its processes, each of which leads a group of its own."""
        return [rank.pid for rank in self._ranks]

    @property
    def exit_codes(self) -> list[Optional[int]]:
        """One a process; negative for a signal."""
        return [rank.exitcode for rank in self._ranks]

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors='replace') if self.output.exists() else ''


def _run(program: str, arguments: list[str], output: str, folder: str, variables: dict[str, str]) -> None:
    os.setsid()
    with open(output, 'a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(variables)
    torch.set_num_threads(1)
    os.chdir(folder)
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(Path(program).parent))  # as Python does for a program
    runpy.run_path(program, run_name='__main__')
