"""A user's error is one sentence, also when a DataLoader worker has wrapped it."""

import pytest
from torch._utils import ExceptionWrapper

from clim_mm.errors import ConfigError, DataError, MissingDependencyError, UserError, sentence

ERRORS = [ConfigError, DataError, MissingDependencyError]
MESSAGES = ['queue_len=7 is too short: set it to 8.', 'Cannot read a: b: c.png (OSError: cut off): replace it.']


def raised(error, cause=None):
    """``error`` as a worker hands it over."""
    try:
        raise error from cause
    except UserError:
        wrapper = ExceptionWrapper(where='in DataLoader worker process 1')
    try:
        wrapper.reraise()
    except type(error) as wrapped:
        return wrapped


@pytest.mark.parametrize('message', MESSAGES)
@pytest.mark.parametrize('error_type', ERRORS)
def test_a_plain_error(error_type, message):
    assert sentence(error_type(message)) == message
    assert sentence(error_type(f'  {message}\n')) == message


@pytest.mark.parametrize('message', MESSAGES)
@pytest.mark.parametrize('error_type', ERRORS)
@pytest.mark.parametrize('cause', [None, KeyError('what was wrong')])
def test_an_error_from_a_worker(error_type, message, cause):
    wrapped = raised(error_type(message), cause)
    assert type(wrapped) is error_type
    assert 'Traceback' in str(wrapped) and 'DataLoader worker process 1' in str(wrapped)
    assert sentence(wrapped) == message


@pytest.mark.parametrize('error_type, builtin', [
    (ConfigError, ValueError),
    (DataError, OSError),
    (MissingDependencyError, ImportError),
])
def test_they_are_users_errors_and_what_python_calls_them(error_type, builtin):
    assert issubclass(error_type, UserError) and issubclass(error_type, builtin)
    assert [other for other in ERRORS if issubclass(other, builtin)] == [error_type]
