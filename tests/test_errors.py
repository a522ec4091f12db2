"""A user's error is one sentence, also when a DataLoader worker has wrapped it."""

import pickle

import pytest
from torch._utils import ExceptionWrapper

from clim_mm.errors import (
    CheckpointError,
    ConfigError,
    DamagedCheckpoint,
    DataError,
    MissingDependencyError,
    TrainingError,
    UnreadableImage,
    UserError,
    on_one_line,
    sentence,
    some_of,
)

ERRORS = [
    ConfigError, DataError, UnreadableImage, CheckpointError, DamagedCheckpoint, TrainingError, MissingDependencyError
]
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
    (UnreadableImage, DataError),
    (CheckpointError, OSError),
    (DamagedCheckpoint, CheckpointError),
    (TrainingError, RuntimeError),
    (MissingDependencyError, ImportError),
])
def test_they_are_users_errors_and_what_python_calls_them(error_type, builtin):
    assert issubclass(error_type, UserError) and issubclass(error_type, builtin)
    roots = {base for base in (ValueError, OSError, RuntimeError, ImportError) if issubclass(error_type, base)}
    assert len(roots) == 1


UNREADABLE = ('Cannot read the image a b/c.png (the file is empty): replace it or take it out of the data folder.')


def test_an_unreadable_image_has_a_path_a_reason_and_a_sentence():
    error = UnreadableImage.of('a b/c.png', 'the file is empty')
    assert (error.path, error.reason) == ('a b/c.png', 'the file is empty')
    assert error.entry == 'a b/c.png\tthe file is empty'
    assert str(error) == sentence(error) == UNREADABLE


def test_an_unreadable_image_survives_the_way_between_processes():
    error = UnreadableImage.of('a b/c.png', 'the file is empty')
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is UnreadableImage and str(copy) == UNREADABLE
    assert (copy.path, copy.reason) == ('a b/c.png', 'the file is empty')
    assert sentence(raised(error, OSError('why'))) == UNREADABLE


@pytest.mark.parametrize('name', ['new\nline.png', 'return\r.png', 'separator\u2028.png'])
def test_a_name_with_a_line_break_leaves_the_sentence_whole(name):
    text = sentence(UnreadableImage.of(f'data/{name}', 'the file is empty'))
    assert text.startswith('Cannot read the image data/') and text.endswith('out of the data folder.')
    assert len(text.splitlines()) == 1


def test_texts_of_others_come_on_one_line():
    assert on_one_line(ValueError(' first:\n\n   second\tthird ')) == 'first: second third'


def test_some_of_many_ids():
    assert some_of([]) == ''
    assert some_of([3, 1]) == '3, 1'
    assert some_of(range(10)) == '0, 1, 2, 3, 4, 5, 6, 7, 8, 9'
    assert some_of(range(11)) == '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...'
    assert some_of(['a', 'b', 'c'], 2) == 'a, b, ...'
