"""Signals that end a program: as an exception of its main thread, or past it where that does not come back."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.util import register_after_fork

from clim_mm.distributed.end_process import end_process

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)  # not where it is ignored, as under nohup
_SECONDS = 10.0  # for the main thread to come back from compiled code or a collective [ours]; Slurm kills after 30


class Interrupted(KeyboardInterrupt):
    """A signal has come that ends the program.

    Attributes:
        status: That of a program which the signal has ended, as shells tell it.
    """

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        super().__init__(signal.Signals(number).name)


@contextmanager
def interruptible(sentence: Callable[[Interrupted], str]) -> Iterator[None]:
    """A context in which SIGINT, SIGTERM and SIGHUP raise :class:`Interrupted` in the main thread, once.

    If that has not left the context after seconds, the process ends nevertheless. Workers that are forked in it leave
    these signals, which a terminal sends to all, to this process.

    Args:
        sentence: Gives what is said where the process ends past the main thread.
    """
    caught = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
              if signal.getsignal(number) in _DEFAULTS]
    over = threading.Event()
    if threading.current_thread() is not threading.main_thread() or not caught:
        yield
        return
    before = {number: signal.getsignal(number) for number in caught}
    hear, tell = os.pipe()
    os.set_blocking(tell, False)

    def interrupt(number: int, _: object) -> None:
        for other in caught:  # torchrun passes on what a terminal has sent already
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    def insist() -> None:
        while heard := os.read(hear, 1):
            if heard[0] in caught and not over.wait(_SECONDS):
                interrupted = Interrupted(heard[0])
                end_process(sentence(interrupted), interrupted.status)
        os.close(hear)

    for number in caught:
        signal.signal(number, interrupt)
    wakeup = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    register_after_fork(over, lambda _: _leave_to_parent())
    threading.Thread(target=insist, name='Interrupts', daemon=True).start()
    try:
        yield
    except BaseException as error:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # for torch each worker that ends now would be an error
        if 'killed by signal: Terminated' in str(error):
            time.sleep(0.5)  # the signal that a worker has got may be on its way to this process, too
        raise
    finally:
        over.set()
        signal.set_wakeup_fd(wakeup)
        os.close(tell)
        for number in caught:
            if signal.getsignal(number) is interrupt:  # else the end has begun, and nothing disturbs it
                signal.signal(number, before[number])


def _leave_to_parent() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # by which a DataLoader ends it
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # By it the thread that hands over a worker's tensors would show that the parent has left; errors go another way.
    sys.excepthook = lambda *_: None
