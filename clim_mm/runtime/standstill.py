"""Why a process that reads images makes no progress, as far as Linux tells."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from clim_mm.errors import printable

_STOPPED, _WAITS_FOR_STORAGE, _COMPUTES = 'Tt', 'D', 'R'
_SPARE_FILES = 8  # with fewer than these left to open, that is the reason [ours]
_READ_ONLY, _ACCESS = 0, 3  # of open(2)


@dataclass(frozen=True)
class Standstill:
    """What a process does, and what helps.

    Attributes:
        words: To be put behind the name of the process.
        remedy: Empty where none is known.
    """

    words: str
    remedy: str = ''


def standstill_of(pid: int, others: Collection[str] = ()) -> Standstill:
    """What the process is at.

    Args:
        pid: Of a process of this user's.
        others: Files that it has open for another reason than to read images.
    """
    folder = Path('/proc', str(pid))
    try:
        state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
        number, limit = len(os.listdir(folder / 'fd')), _limit(folder)
        reads = [path for path in files_read_by(pid) if path not in others]
    except (OSError, IndexError, ValueError):
        return Standstill('tells nothing')
    at = f' at {printable(reads[-1])}' if reads else ''
    if state in _STOPPED:
        return Standstill(f'is stopped, by SIGSTOP or a debugger{at}', f'kill -CONT {pid} lets it go on')
    if limit - number < _SPARE_FILES:
        return Standstill(f'has {number} files open of the {limit} that it may open{at}',
                          'raise the limit (ulimit -n 65536), or set fewer workers or a smaller batch_size')
    if state == _WAITS_FOR_STORAGE or at:
        return Standstill(f'waits for its storage{at}', 'see whether the disk or the network file system answers')
    return Standstill('computes' if state == _COMPUTES else 'sleeps, with no image open')


def files_read_by(pid: int) -> list[str]:
    """The files that a process has open to read them, in the order of their descriptors; devices are none."""
    found = []
    for number in sorted(map(int, os.listdir(f'/proc/{pid}/fd'))):
        try:
            path = os.readlink(f'/proc/{pid}/fd/{number}')
            flags = Path(f'/proc/{pid}/fdinfo/{number}').read_text().partition('flags:')[2].split()[0]
        except (OSError, IndexError):  # closed meanwhile
            continue
        if path.startswith('/') and not path.startswith(('/dev/', '/proc/')) and int(flags, 8) & _ACCESS == _READ_ONLY:
            found.append(path)
    return found


def _limit(folder: Path) -> int:
    line = next(line for line in (folder / 'limits').read_text().splitlines() if line.startswith('Max open files'))
    soft = line.split()[3]
    return 2**63 if soft == 'unlimited' else int(soft)
