"""A command that ends while it still imports ends with a sentence, and not in the middle of some module."""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Optional

from .causes import cause_of

_FOLDER, _IN_IT = 'tools', 'dist_train.sh'  # of a checkout, wherever the package itself is installed


def watch_imports() -> None:
    """See to it if this is a command of the project; ``clim_mm.launch`` takes over where its work begins.

    Until then no work could be lost. As an exception, SIGINT would be swallowed by modules that try an import, or end
    in an error of theirs.
    """
    if _is_command() and threading.current_thread() is threading.main_thread():
        sys.excepthook = _say_cause
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not under nohup
                signal.signal(number, end_at_once)


def end_at_once(number: int, _: Optional[FrameType]) -> None:
    """End with the status of a program that the signal has ended; where torchrun passes it on, that says so."""
    if 'TORCHELASTIC_RUN_ID' not in os.environ:
        os.write(2, f'\nError: {signal.Signals(number).name} has ended the program.\n'.encode())
    os._exit(128 + number)


def _say_cause(kind: type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
    """Such as no memory for torch's libraries, or no folder for temporary files."""
    if cause := cause_of(error):
        os.write(2, f'\nError: {cause.sentence}\n'.encode())
    else:
        sys.__excepthook__(kind, error, trace)


def _is_command() -> bool:
    program = getattr(sys.modules['__main__'], '__file__', None)
    if program is None:
        return sys.argv[:1] == ['-m']  # Python's -m imports the package before it knows the program
    return any(folder.name == _FOLDER and (folder / _IN_IT).is_file() for folder in Path(program).resolve().parents)
