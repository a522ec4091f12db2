"""Which errors are asked about again, how often, and what is said in the end."""

import errno
import io
import os
import socket
import urllib.error
from http.client import IncompleteRead

import pytest

from clim_mm import storage
from clim_mm.errors import DataError, StorageError, UnreadableImage
from clim_mm.storage import PAUSES, is_there, is_transient, patiently


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that were made, instead of the pauses."""
    made = []
    monkeypatch.setattr(storage.time, 'sleep', made.append)
    return made


def fails(times, error, answer=7):
    """A function that raises so often, and then answers."""
    left = [error] * times

    def ask():
        if left:
            raise left.pop()
        return answer

    return ask


def url_error(code):
    return urllib.error.HTTPError('http://host/a', code, 'words', {}, io.BytesIO())


def wrapped(inner):
    try:
        try:
            raise inner
        except Exception as error:
            raise RuntimeError('the backend has failed') from error
    except RuntimeError as error:
        return error


TRANSIENT = [
    *(OSError(number, os.strerror(number)) for number in (
        errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNRESET, errno.EHOSTDOWN, errno.EAGAIN, errno.ENETDOWN,
        errno.EREMOTEIO, errno.ENOTCONN)),
    OSError(errno.EIO), TimeoutError('timed out'), ConnectionResetError(), IncompleteRead(b'', 3), url_error(503),
    url_error(429), urllib.error.URLError(OSError(errno.EHOSTUNREACH, 'No route to host')),
    urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, 'Temporary failure in name resolution')),
    RuntimeError('/data/images.lmdb: Input/output error'), wrapped(OSError(errno.ESTALE, 'Stale file handle')),
]
LASTING = [
    *(OSError(number, os.strerror(number)) for number in (
        errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENOSPC, errno.EMFILE, errno.EROFS)),
    OSError('cannot identify image file'), AssertionError('failed to load image: Broken pipe.jpg'), url_error(404),
    ValueError('3'), MemoryError(), wrapped(ValueError('3')), UnreadableImage.of('a.jpg', 'Input/output error'),
    *(urllib.error.URLError(socket.gaierror(number, 'words')) for number in (socket.EAI_NONAME, socket.EAI_NODATA)),
]


@pytest.mark.parametrize('error', TRANSIENT, ids=repr)
def test_what_passes_is_asked_for_again(pauses, error):
    assert is_transient(error)
    assert patiently(fails(3, error), 'a.jpg') == 7 and pauses == list(PAUSES[:3])


@pytest.mark.parametrize('error', LASTING, ids=repr)
def test_what_lasts_is_told_at_once(pauses, error):
    with pytest.raises(type(error)) as caught:
        patiently(fails(1, error), 'a.jpg')
    assert caught.value is error and pauses == []


def test_the_pauses_grow_and_end(pauses):
    with pytest.raises(StorageError) as caught:
        patiently(fails(100, OSError(errno.EIO, 'Input/output error')), 'a\n.jpg')
    assert pauses == list(PAUSES) == sorted(PAUSES) and 30 < sum(PAUSES) < 120
    assert isinstance(caught.value, DataError) and not isinstance(caught.value, UnreadableImage)
    assert str(caught.value) == (
        'The storage of a\\n.jpg has failed for 60 s (OSError: [Errno 5] Input/output error), for which the file is '
        'not to blame: see to the disk, the mount or the network, and start again, a training with --resume.')


def test_whoever_waits_for_one_who_waits_does_not_wait_again(pauses):
    inner = fails(1000, OSError(errno.EIO, 'Input/output error'))
    with pytest.raises(StorageError):
        patiently(lambda: patiently(inner, 'a.jpg'), 'the folder')
    assert len(pauses) == len(PAUSES)


def test_a_lasting_error_after_a_passing_one_is_told(pauses):
    errors = [OSError(errno.ENOENT, 'No such file or directory'), OSError(errno.EIO, 'Input/output error')]
    with pytest.raises(FileNotFoundError):
        patiently(lambda: (_ for _ in ()).throw(errors.pop()), 'a.jpg')


def test_what_is_there(tmp_path):
    assert is_there(str(tmp_path)) and not is_there(str(tmp_path / 'nothing')) and not is_there('a\0b')
    (tmp_path / 'file').write_text("1")
    assert is_there(str(tmp_path / 'file')) and not is_there(str(tmp_path / 'file' / 'below'))
