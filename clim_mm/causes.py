"""Errors that the machine causes, not a setting or a file: what happened and what helps."""

import errno
import re
import traceback
from dataclasses import dataclass, replace
from typing import Optional

from .errors import MachineError, chain_of

_MOST_QUOTED = 200  # characters
_SHARER = 'multiprocessing.resource_sharer'  # which fetches tensors from workers


@dataclass(frozen=True)
class Cause:
    """What the machine lacks or does.

    Attributes:
        what: The beginning of a sentence.
        remedy: Its end.
        pattern: Regular expression for the errors, as ``TypeName: ERRNO text``, in any case.
    """

    what: str
    remedy: str
    pattern: str

    @property
    def sentence(self) -> str:
        """The two together."""
        return f'{self.what}: {self.remedy}.'


def cause_of(error: BaseException) -> Optional[Cause]:
    """The cause of an error or of one that has led to it, with its text quoted; None if the machine is not to blame.

    It also knows the errors of DataLoader workers, whose traceback is in the text.
    """
    for link in chain_of(error):
        text = _text_of(link)
        in_text = re.search(r'\[Errno (\d+)\]', text)  # all that is left of a worker's error
        number = getattr(link, 'errno', None) or int(in_text[1] if in_text else 0)
        said = f'{type(link).__name__}: {errno.errorcode.get(number, "")} {text}'
        if any(frame.f_globals.get('__name__') == _SHARER for frame, _ in traceback.walk_tb(link.__traceback__)):
            said += f' [{_SHARER}]'
        for known in _KNOWN:
            if re.search(known.pattern, said, re.IGNORECASE):
                quoted = text if len(text) <= _MOST_QUOTED else f'{text[:_MOST_QUOTED]}...'
                return replace(known, what=f'{known.what} ({quoted or type(link).__name__})')
    return None


def machine_error(error: BaseException) -> Optional[MachineError]:
    """The error to raise instead of one that would blame a setting or a file; None if the machine is not to blame.

    ``raise machine_error(error) or ConfigError(...) from error`` is how a catch-all asks first.
    """
    if isinstance(error, MachineError):
        return error
    cause = cause_of(error)
    return None if cause is None else MachineError(cause.sentence)


def remedy_for(error: BaseException) -> str:
    """What helps, with a colon before it, to be put behind the text of an error; empty where no cause is known."""
    cause = cause_of(error)
    return '' if cause is None else f': {cause.remedy}'


def _text_of(error: BaseException) -> str:
    """On one line; of a worker's error without the traceback."""
    text = str(error)
    _, is_wrapped, original = text.rpartition('Traceback (most recent call last):')
    lines = (original if is_wrapped else text).splitlines()
    return ' '.join(' '.join(line for line in lines if not (is_wrapped and line.startswith(' '))).split())


# The first that fits counts.
_KNOWN = (
    Cause('The GPU has no memory left',
          'set a smaller batch_size (optim_wrapper.accumulative_counts makes up for it), train in mixed precision, or '
          'end what else uses the GPU', 'OutOfMemoryError: |(CUDA|HIP) (error: )?out of memory|_ALLOC_FAILED'),
    Cause('A limit on open files, processes or the size of files is reached',
          'raise it (ulimit -n 65536, ulimit -u, ulimit -f; --pids-limit of a container), or set fewer workers '
          '(num_workers) or a smaller batch_size',
          r'^\w+: (EMFILE|ENFILE|EFBIG|EAGAIN) |too many open files|items of ancdata|can\'t start new thread'),
    Cause('The memory of this machine, or of what this program is given of it, is used up',
          'set fewer workers (num_workers) or a smaller batch_size, end other programs, or raise the limit '
          '(ulimit -v, --memory of a container, --mem of Slurm)',
          r'MemoryError: |^\w+: ENOMEM |out of memory|allocate memory|not enough memory|bad_alloc|failed to map '),
    Cause('The memory that workers share (/dev/shm) is full or cannot be had',
          'give it more (--shm-size=8g of a container; mount -o remount,size=8G /dev/shm), take out what others have '
          'left there, or set fewer workers (num_workers) or a smaller batch_size',
          r'allocate shared memory|signal: bus error|creating shared memory|unable to .*</?torch_\d'
          r'|^\w+: (ENOSPC|EDQUOT) .*/dev/shm'),
    Cause('A worker process was killed, by the system for want of memory, or has crashed',
          'see the system\'s log (dmesg), and set fewer workers (num_workers), or num_workers=0 to see at which image',
          r'worker .*(is killed by signal|exited unexpectedly)|terminated abruptly'
          r'|^(EOF|Connection\w+|FileNotFound|BrokenPipe)Error: .*resource_sharer'),
    Cause('The disk is full, or its quota used up', 'make room there, or choose another place (--work-dir, --out)',
          r'^\w+: (ENOSPC|EDQUOT) |no space left on device|disk quota exceeded'),
    Cause('The file system takes no changes',
          'choose another place (--work-dir, --out), or have it mounted for writing',
          r'^\w+: EROFS |read-only file system'),
    Cause('Another program has the port, such as a second training',
          'set another, as in PORT=29501 bash tools/dist_train.sh ..., or end that program',
          'EADDRINUSE|address already in use'),
    Cause('This user may not do that with the file or folder', 'mend its permissions, or choose another',
          r'^\w+: (EACCES|EPERM) .*\''),  # about a file, whose name is quoted
    Cause('A disk, a network file system, another machine or process does not answer',
          'see whether it is sound and can be reached, then start again',
          r'^\w+: (EIO|EREMOTEIO|ESTALE|EUCLEAN|ETIMEDOUT|ENOTCONN|ENODEV|ENXIO|ECONN\w+|E(HOST|NET)\w+|EPIPE) '
          r'|input/output error|stale (nfs )?file handle|name resolution|name or service not known'
          r'|connection (refused|timed out)'),
)
