"""What a user can put right: one sentence that names the thing and the remedy.

``tools/train.py`` prints these as that sentence, without a traceback. Any other exception is a fault of
the software and keeps its traceback.
"""


class UserError(Exception):
    """Base of the errors that a user can put right."""


class ConfigError(UserError, ValueError):
    """A setting that is out of range, or that does not fit the data, the machine or another setting."""


class DataError(UserError, OSError):
    """A data folder or an image that cannot be used."""


class MissingDependencyError(UserError, ImportError):
    """A package, or a compiled part of one, that is not installed."""


def on_one_line(error: Exception) -> str:
    """The text of an error of other software, to be quoted inside a sentence."""
    return ' '.join(str(error).split())


def sentence(error: UserError) -> str:
    """The sentence of ``error``, also of one that a DataLoader worker has wrapped with its traceback."""
    last_line = str(error).strip().splitlines()[-1]
    return last_line.removeprefix(f'{type(error).__module__}.{type(error).__qualname__}: ')
