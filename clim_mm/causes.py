"""Why the machine, and no setting or file, has ended something, and what helps."""

import errno
import os
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from .errors import MachineError, chain_of, printable

_SHARED = '/dev/shm'
_TELLING = ('multiprocessing.synchronize', 'multiprocessing.resource_sharer')  # modules, of which an error tells much
_MOST_QUOTED = 200  # characters


@dataclass(frozen=True)
class Cause:
    """What the machine lacks or does, in words that begin a sentence, with the error's in brackets, and what helps."""

    what: str
    remedy: str

    @property
    def sentence(self) -> str:
        """The two together."""
        return f'{self.what}: {self.remedy}.'


def cause_of(error: BaseException) -> Optional[Cause]:
    """The cause of an error, if the machine is to blame for it or for one that has led to it.

    Args:
        error: As it was caught; also one of a DataLoader worker, whose traceback stands in the text.

    Returns:
        None where no cause is known: then nothing should be advised either.
    """
    for link in chain_of(error):
        words = _words_of(link)
        of_words = re.match(r'.*\[Errno (\d+)\](?:[^\']*\'([^\']+)\')?', words)  # a worker's error has these alone
        number = getattr(link, 'errno', None) or int(of_words[1] if of_words else 0)
        path = getattr(link, 'filename', None) or (of_words[2] if of_words else None) or ''
        path = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ''
        origins = {frame.f_globals.get('__name__') for frame, _ in traceback.walk_tb(link.__traceback__)}
        text = f'{type(link).__name__}: {words}' + ''.join(f' [{name}]' for name in _TELLING if name in origins)
        for known in _KNOWN:
            if known.fits(text, number, path):
                place = f' ({printable(path)})' if path and path not in words else ''
                quoted = words if len(words) <= _MOST_QUOTED else f'{words[:_MOST_QUOTED]}...'
                return Cause(f'{known.what}{place} ({quoted or type(link).__name__})', known.remedy)
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
    """What helps, to be put behind the words of an error, with a colon before it; empty where no cause is known."""
    cause = cause_of(error)
    return '' if cause is None else f': {cause.remedy}'


def _words_of(error: BaseException) -> str:
    """What it says, on one line; of an error that a worker has met, without the traceback."""
    text = str(error)
    _, is_wrapped, original = text.rpartition('Traceback (most recent call last):')
    lines = (original if is_wrapped else text).splitlines()
    return ' '.join(' '.join(line for line in lines if not (is_wrapped and line.startswith(' '))).split())


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


@dataclass(frozen=True)
class _Known:
    """A cause, and by what it is recognised: words, or a number, if need be of an error about a file below a folder.

    Attributes:
        words: A regular expression for the name of the error, its text and where it came from, in any case.
    """

    what: str
    remedy: str
    words: str
    numbers: frozenset[int] = frozenset()
    below: str = ''

    def fits(self, text: str, number: int, path: str) -> bool:
        is_there = not self.below or bool(path) and os.path.abspath(path).startswith(self.below)
        return number in self.numbers and is_there or re.search(self.words, text, re.IGNORECASE) is not None


_NOTHING = '(?!)'
_SHARED_IS_FULL = ('The memory that workers share (/dev/shm) is full or cannot be had',
                   'give it more (--shm-size=8g of a container; mount -o remount,size=8G /dev/shm), take out what '
                   'others have left there, or set fewer workers (num_workers) or a smaller batch_size')
_STORAGE = ('The storage does not give or take what it should',
            'see whether the disk is sound and the network file system answers, then start again')

# The first that fits counts.
_KNOWN: Sequence[_Known] = (
    _Known(*_SHARED_IS_FULL, 'unable to allocate shared memory|signal: bus error|creating shared memory segment',
           _numbers('ENOSPC', 'EDQUOT'), below=_SHARED),
    _Known('The GPU has no memory left',
           'set a smaller batch_size (optim_wrapper.accumulative_counts makes up for it), train in mixed precision, or '
           'end what else uses the GPU', 'OutOfMemoryError: |(CUDA|HIP) (error: )?out of memory|_ALLOC_FAILED'),
    _Known('This process, or a worker of it, may open no further file',
           'raise the limit (ulimit -n 65536), or set fewer workers (num_workers) or a smaller batch_size',
           r'too many open files|received \d+ items of ancdata', _numbers('EMFILE', 'ENFILE')),
    _Known('A file may not grow any larger',
           'raise the limit (ulimit -f unlimited), or take a file system that admits such files', 'file too large',
           _numbers('EFBIG')),
    _Known('The memory of this machine, or of what this program is given of it, is used up',
           'set fewer workers (num_workers) or a smaller batch_size, end other programs, or raise the limit '
           '(ulimit -v, --memory of a container, --mem of Slurm)',
           'MemoryError: |out of memory|allocate memory|(not enough|insufficient) memory|bad_alloc|'
           'failed to (allocate|map )',
           _numbers('ENOMEM')),
    _Known(*_SHARED_IS_FULL, r'unable to .*</?torch_\d+|^\w+: .* \[multiprocessing.synchronize\]'),
    _Known('A worker process has crashed in compiled code', 'set num_workers=0 to see at which image it does',
           'signal: (segmentation|aborted|illegal|floating)'),
    _Known('A worker process was ended by a signal from outside', 'start again',
           'signal: (terminated|hangup|interrupt)'),
    _Known('A worker process was killed, as a rule by the system for want of memory',
           'look into the system\'s log (dmesg), and set fewer workers (num_workers) or give this program more memory',
           r'worker .*(is killed by signal|exited unexpectedly)|terminated abruptly|'
           r'^(EOF|Connection\w+|FileNotFound|BrokenPipe)Error: .*\[multiprocessing.resource_sharer\]'),
    _Known('This user or container may start no further process or thread',
           'raise the limit (ulimit -u, --pids-limit of a container), or set fewer workers (num_workers)',
           'can\'t start new thread', _numbers('EAGAIN')),
    _Known('The disk is full, or its quota used up', 'make room there, or choose another place (--work-dir, --out)',
           'no space left on device|disk quota exceeded', _numbers('ENOSPC', 'EDQUOT')),
    _Known('The file system takes no changes',
           'choose another place (--work-dir, --out), or have it mounted for writing',
           'read-only file system', _numbers('EROFS')),
    _Known('Another program has the port, such as a second training',
           'set another, as in PORT=29501 bash tools/dist_train.sh ..., or end that program',
           'address already in use|EADDRINUSE', _numbers('EADDRINUSE')),
    _Known('This user may not do that with the file or folder', 'mend its permissions, or choose another', _NOTHING,
           _numbers('EACCES', 'EPERM'), below='/'),
    _Known(*_STORAGE, 'stale (NFS )?file handle|input/output error', _numbers('ESTALE', 'EIO', 'EREMOTEIO', 'EUCLEAN')),
    _Known(*_STORAGE, _NOTHING, _numbers('ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'ENODEV', 'ENXIO'), below='/'),
    _Known('Another machine does not answer over the network', 'see whether its address is right and it can be reached',
           'name resolution|name or service not known|connection (refused|timed out)',
           _numbers('ETIMEDOUT', 'ECONNREFUSED', 'ECONNRESET', 'ENETUNREACH', 'EHOSTUNREACH', 'EHOSTDOWN')),
    _Known('The program or process that this one writes to has ended', 'see why it has', 'broken pipe',
           _numbers('EPIPE')),
)
