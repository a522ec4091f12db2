"""What the first import of the package sees to: a fast start, one that ends in a sentence, and OpenCV's limit.

It comes before anything that imports cv2, which reads its limit from the environment when it is loaded.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Optional

from .causes import cause_of

# OpenCV admits pictures of 2^30 pixels, which are 3 GB in every DataLoader worker that meets such a file.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2**28))  # 16,384 x 16,384 [ours]


@contextmanager
def collector_stopped() -> Iterator[None]:
    """Stop Python's collector of cycles, which takes a sixth of the time of the imports and finds nothing."""
    ran = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ran:
            gc.enable()


def watch_imports() -> None:
    """Let a command of the project end with a sentence while it imports; ``clim_mm.launch`` takes over from there.

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
    if cause := cause_of(error):  # such as no memory for torch's libraries
        os.write(2, f'\nError: {cause.sentence}\n'.encode())
    else:
        sys.__excepthook__(kind, error, trace)


def _is_command() -> bool:
    program = getattr(sys.modules['__main__'], '__file__', None)
    if program is None:
        return sys.argv[:1] == ['-m']  # Python's -m imports the package before it knows the program
    return any((folder / 'dist_train.sh').is_file() for folder in Path(program).resolve().parents
               if folder.name == 'tools')
