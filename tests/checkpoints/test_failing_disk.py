"""A disk that fails for a moment under a checkpoint: it is asked again, and nothing sound is passed over."""

import errno
import os

import pytest
import torch

from clim_mm import storage
from clim_mm.checkpoints import latest_checkpoint, read_checkpoint, write_atomically
from clim_mm.errors import CheckpointError, StorageError

FAILS = '/proc/self/mem'  # a file whose first read ends in EIO

pytestmark = pytest.mark.skipif(not os.path.exists(FAILS), reason='no file here fails by itself')


@pytest.fixture
def after_a_pause(monkeypatch):
    """What happens during the first pause; no pause takes time."""
    events = []
    monkeypatch.setattr(storage.time, 'sleep', lambda seconds: events and events.pop()())
    return events


@pytest.fixture
def checkpoints(tmp_path):
    """Two, the newer of which fails, and how that comes back."""
    for epoch in (1, 2):
        torch.save(dict(meta=dict(epoch=epoch, iter=epoch), state_dict={}), tmp_path / f'epoch_{epoch}.pth')
    newest = tmp_path / 'epoch_2.pth'
    content = newest.read_bytes()
    newest.unlink()
    newest.symlink_to(FAILS)

    def come_back():
        newest.unlink()
        newest.write_bytes(content)

    return str(tmp_path), str(newest), come_back


def test_a_checkpoint_is_read_when_the_disk_is_back(checkpoints, after_a_pause):
    folder, newest, come_back = checkpoints
    after_a_pause.append(come_back)
    assert latest_checkpoint(folder) == newest
    assert read_checkpoint(newest)['meta']['epoch'] == 2


def test_a_sound_checkpoint_is_not_passed_over(checkpoints, after_a_pause):
    folder, newest, _ = checkpoints
    with pytest.raises(StorageError, match=f'storage of {newest} has failed .*Input/output error'):
        latest_checkpoint(folder)


def test_a_folder_that_does_not_answer_is_no_new_run(tmp_path, after_a_pause, monkeypatch):
    def fail(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)

    monkeypatch.setattr(os, 'listdir', fail)
    with pytest.raises(StorageError, match='Stale file handle'):
        latest_checkpoint(str(tmp_path))


@pytest.mark.parametrize('number, refusal', [(errno.EIO, None), (errno.ENOSPC, 'make room')])
def test_what_could_not_be_written_is_written_again(tmp_path, after_a_pause, monkeypatch, number, refusal):
    sync, left = os.fsync, [None]

    def fail_once(descriptor):
        if left:
            left.pop()
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(os, 'fsync', fail_once)
    path = tmp_path / 'epoch_1.pth'
    if refusal:
        with pytest.raises(CheckpointError, match=refusal):
            write_atomically(path, b'content')
        assert os.listdir(tmp_path) == []
    else:
        write_atomically(path, b'content')
        assert path.read_bytes() == b'content' and os.listdir(tmp_path) == ['epoch_1.pth']
