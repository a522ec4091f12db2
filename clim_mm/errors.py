"""What a user can put right: one sentence that names the thing and the remedy, printed without a traceback."""

from collections.abc import Iterator, Sequence
from typing import Optional


class UserError(Exception):
    """Base of the errors that a user can put right."""


class ConfigError(UserError, ValueError):
    """A setting that is out of range, or that does not fit the data, the machine or another setting."""


class DataError(UserError, OSError):
    """A data folder or an image that cannot be used."""


class UnreadableImage(DataError):
    """An image that cannot be used, while the others can; ``reason`` says why in a few words."""

    def __init__(self, message: str, path: str = '', reason: str = '') -> None:  # a DataLoader passes only the message
        super().__init__(message)
        self.path = path
        self.reason = reason

    @classmethod
    def of(cls, path: str, reason: str) -> 'UnreadableImage':
        """The error about ``path``, in a sentence."""
        return cls(f'Cannot read the image {printable(path)} ({reason}): replace it or take it out of the data folder.',
                   path, reason)

    @property
    def entry(self) -> str:
        """The path and the reason, as a list of such images has them."""
        return f'{printable(self.path)}\t{self.reason}'


class StorageError(DataError):
    """A disk or a network that does not answer, so that no file is to blame."""


class CheckpointError(UserError, OSError):
    """A checkpoint that cannot be read, or a file of a run that cannot be written."""


class DamagedCheckpoint(CheckpointError):
    """A checkpoint that is empty, cut off or altered, so that one before it is wanted."""


class TrainingError(UserError, RuntimeError):
    """A training that has gone wrong: non-finite losses or features."""


class MachineError(UserError, OSError):
    """What the machine lacks, or has done to the program: see ``clim_mm.causes``."""


class MissingDependencyError(UserError, ImportError):
    """A package, or a compiled part of one, that is not installed."""


def chain_of(error: Optional[BaseException]) -> Iterator[BaseException]:
    """The error and those that have led to it, the last one first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        reason = getattr(error, 'reason', None)  # of a URLError
        error = reason if isinstance(reason, BaseException) else error.__cause__ or (
            None if error.__suppress_context__ else error.__context__)


def on_one_line(error: BaseException) -> str:
    """The text of another library's error, to be quoted inside a sentence."""
    return ' '.join(str(error).split())


def printable(name: str) -> str:
    """A file's name with line breaks, tabs and bytes that are no text as escapes."""
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in name)


def some_of(ids: Sequence, most: int = 10) -> str:
    """The first of many ids or names, to be put inside a sentence."""
    return ', '.join(map(str, ids[:most])) + (', ...' if len(ids) > most else '')


def sentence(error: UserError) -> str:
    """The sentence of ``error``, also of one that a DataLoader worker has wrapped with its traceback."""
    last_line = str(error).strip().splitlines()[-1]
    return last_line.removeprefix(f'{type(error).__module__}.{type(error).__qualname__}: ')
