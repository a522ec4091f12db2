"""A signal while a command still imports ends it with a sentence, and not in the middle of some module."""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Optional

_TOOLS = Path(__file__).parents[1] / 'tools'


def catch_early_signals() -> None:
    """Do so from now on if this is a command of the project; ``clim_mm.launch.interrupts`` takes over later.

    Until then no work could be lost. As an exception, SIGINT would be swallowed by modules that try an import, or end
    in an error of theirs.
    """
    if _is_command() and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not under nohup
                signal.signal(number, end_at_once)


def end_at_once(number: int, _: Optional[FrameType]) -> None:
    """End with the status of a program that the signal has ended; where torchrun passes it on, that says so."""
    if 'TORCHELASTIC_RUN_ID' not in os.environ:
        os.write(2, f'\nError: {signal.Signals(number).name} has ended the program.\n'.encode())
    os._exit(128 + number)


def _is_command() -> bool:
    program = getattr(sys.modules['__main__'], '__file__', None)
    # Python's -m imports the package before it knows the program.
    return sys.argv[:1] == ['-m'] or program is not None and _TOOLS in Path(program).resolve().parents
