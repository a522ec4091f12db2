"""torchrun, which ends with a sentence and a status instead of a traceback of its own.

    python -m clim_mm.launch.ranks [arguments of torchrun]

The processes that it starts say themselves which error has ended them, but not which signal.
"""

import signal
import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from clim_mm.causes import cause_of

_GOES_ON = 'A training goes on from its last checkpoint when the same command is given with --resume.'


def main() -> None:
    """Start the processes, and say what signal has ended them, if one has."""
    try:
        torchrun()
    except SignalException as error:
        sys.exit(_ended('the program', error.sigval))
    except ChildFailedError as error:
        # A rank that was killed is the cause, though torchrun may have seen another first, which ended for want of it.
        killed = [(rank, failure) for rank, failure in error.failures.items()
                  if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM]
        rank, failure = killed[0] if killed else error.get_first_failure()
        number = -failure.exitcode if failure.exitcode < 0 else failure.exitcode - 128
        sys.exit(_ended(f'rank {rank}', number) if number > 0 else failure.exitcode)
    except (OSError, RuntimeError) as error:  # such as a port that another training has taken in the same second
        cause = cause_of(error)
        if cause is None:
            raise
        sys.exit(f'Error: {cause.sentence}')


def _ended(what: str, number: int) -> int:
    name = signal.Signals(number).name if number in signal.valid_signals() else f'Signal {number}'
    why = ', as a rule by the system for want of memory (dmesg tells)' if number == signal.SIGKILL else ''
    print(f'\nError: {name} has ended {what}{why}. {_GOES_ON}', file=sys.stderr, flush=True)
    return 128 + number


if __name__ == '__main__':
    main()
