"""Real processes that are stopped and killed, and whose output and exit status are looked at.

What the system tells of them is read from /proc.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from gloo import CONTEXT


@contextmanager
def started(calls: list[tuple[Callable, tuple]], outputs: list[Path]) -> Iterator[list[BaseProcess]]:
    """Call functions in new processes, each with what it prints in a file; none is left afterwards.

    Args:
        calls: A function at the top level of its module, and its arguments, for each process.
        outputs: Where the stdout and stderr of each process go.
    """
    processes = [CONTEXT.Process(target=_call, args=(output, *call))
                 for output, call in zip(outputs, calls, strict=True)]
    for process in processes:
        process.start()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


def _call(output: Path, function: Callable, args: tuple[Any, ...]) -> None:
    with output.open('w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    function(*args)


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return once ``condition()`` is true.

    Raises:
        TimeoutError: If it does not become true.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f'Not true within {seconds} s.')
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether there is a process ``pid`` that has not ended; a stopped one has not."""
    return _state_and_parent(pid)[0] not in ('', 'Z', 'X')


def running(*words: str) -> list[int]:
    """The processes that have all of ``words`` in their command line."""
    return [pid for pid in _pids() if is_running(pid) and all(word in _command(pid) for word in words)]


def with_descendants(pid: int) -> list[int]:
    """``pid`` and the processes below it, from the top down."""
    family = [pid]
    children: dict[int, list[int]] = {}
    for other in _pids():
        children.setdefault(_state_and_parent(other)[1], []).append(other)
    for member in family:
        family += children.get(member, [])
    return family


def _pids() -> list[int]:
    return [int(folder.name) for folder in Path('/proc').iterdir() if folder.name.isdigit()]


def _command(pid: int) -> str:
    try:
        return Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
    except (FileNotFoundError, ProcessLookupError):
        return ''


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return '', 0
    state, parent, *_ = stat.rsplit(')', 1)[1].split()
    return state, int(parent)
