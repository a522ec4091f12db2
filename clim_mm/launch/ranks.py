"""torchrun, which ends with a sentence and a status instead of a traceback of its own.

    python -m clim_mm.launch.ranks [arguments of torchrun]

The processes that it starts say themselves which error has ended them, but not which signal.
"""

import signal
import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from clim_mm.causes import machine_error


def main() -> None:
    """Start the processes, and say what signal has ended them, if one has."""
    try:
        torchrun()
    except SignalException as error:
        sys.exit(_ended('the program', error.sigval))
    except ChildFailedError as error:
        # A rank that was killed is the cause, though torchrun may have seen another first, which ended for want of it.
        statuses = {rank: failure.exitcode for rank, failure in error.failures.items()}
        rank = next((rank for rank, status in statuses.items() if status < 0 and status != -signal.SIGTERM),
                    error.get_first_failure()[0])
        status = statuses[rank]
        sys.exit(status if 0 <= status <= 128 else _ended(f'rank {rank}', -status if status < 0 else status - 128))
    except (OSError, RuntimeError) as error:  # such as a port that another training has taken in the same second
        if cause := machine_error(error):
            sys.exit(f'Error: {cause}')
        raise


def _ended(what: str, number: int) -> int:
    name = signal.Signals(number).name if number in signal.valid_signals() else f'Signal {number}'
    why = ', as a rule by the system for want of memory (dmesg tells)' if number == signal.SIGKILL else ''
    print(f'\nError: {name} has ended {what}{why}. A training goes on from its last checkpoint when the same command '
          'is given with --resume.', file=sys.stderr, flush=True)
    return 128 + number


if __name__ == '__main__':
    main()
