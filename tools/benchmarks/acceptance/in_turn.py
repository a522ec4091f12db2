"""Checks one after the other, each in a process of its own: one that dies or hangs costs its own rows alone."""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Optional, TypeVar, Union

from clim_mm.errors import UserError, sentence

from .rows import Row, left_out
from .setting import Check, Setting

T = TypeVar('T')

_SECONDS_TO_END = 2.0
_LEAST_SECONDS = 1.0  # below, a check is not begun


def run_in_turn(checks: Sequence[tuple[str, Check, float]], setting: Setting, end: float,
                tell: Callable[[str, Row], None]) -> bool:
    """Run checks, and tell each row as it comes.

    Args:
        checks: Names, checks, and their shares of the time. What one leaves goes to those after it.
        setting: For all.
        end: By ``time.monotonic``, of all together.
        tell: Is called with the name of the check and the row.

    Returns:
        Whether a check could begin.
    """
    any_begun = False
    end -= _SECONDS_TO_END
    for place, (name, check, share) in enumerate(checks):
        allowed = (end - time.monotonic()) * share / sum(share for _, _, share in checks[place:])
        if allowed < _LEAST_SECONDS:
            tell(name, left_out(name, 'no time was left'))
            continue
        any_begun = True
        for row in results_of(name, check, setting, time.monotonic() + allowed):
            tell(name, row)
    return any_begun


def results_of(name: str, function: Callable[[Setting], Iterator[T]], setting: Setting,
               end: float) -> Iterator[Union[T, Row]]:
    """What a function yields in a process of its own, and a row if that dies, or is not done in time.

    Args:
        name: For the rows, and for the file in the setting's folder that takes what the process prints.
        function: Of a module.
        setting: For the function.
        end: By ``time.monotonic``.
    """
    context, begun = multiprocessing.get_context(setting.start_method), time.monotonic()
    receiver, sender = context.Pipe(duplex=False)
    log = Path(setting.folder, f'{name}.log')
    process: Any = context.Process(target=_work, args=(function, setting, sender, str(log)))
    process.start()
    sender.close()
    try:
        while receiver.poll(max(0.0, end - time.monotonic())):
            yield receiver.recv()
        yield left_out(name, f'the rest, cut off after {time.monotonic() - begun:.0f} s')
    except EOFError:  # it has ended
        process.join(_SECONDS_TO_END)
        if process.exitcode != 0:
            yield Row(name, ok=False, note=_last_words(process.exitcode, log))
    finally:
        _kill(process)


def _last_words(exitcode: Optional[int], log: Path) -> str:
    how = (f'died of {signal.Signals(-exitcode).name}' if exitcode is not None and exitcode < 0
           else f'ended with status {exitcode}')
    return f'its process {how}: {last_lines(log)}'


def print_into(log: str) -> None:
    """Let this process and what it starts print into a file."""
    sys.stdout = sys.stderr = open(log, 'a', buffering=1)
    for descriptor in (1, 2):
        os.dup2(sys.stdout.fileno(), descriptor)


def last_lines(log: Path) -> str:
    """What a process said last, on one line."""
    lines = log.read_text(errors='replace').splitlines() if log.exists() else []
    return ' / '.join([line.strip() for line in lines if line.strip()][-2:])[-500:]


def _kill(process: Any) -> None:
    """The process and all that it has started, which are its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join(_SECONDS_TO_END)  # one in a GPU's driver may not even die


def _work(function: Callable[[Setting], Iterator], setting: Setting, sender: Connection, log: str) -> None:
    os.setsid()
    print_into(log)
    try:
        for result in function(setting):
            sender.send(result)
    except Exception as error:
        traceback.print_exc()
        if isinstance(error, UserError):
            print(sentence(error))
        os._exit(1)
    os._exit(0)  # threads of GPU libraries may never end
