"""Whose a folder is: the run that it tells of, and the process that holds it."""

import fcntl
import json
import multiprocessing
import os
import signal
import socket
import time

import pytest

from clim_mm.checkpoints.run_folder import RUN_FILE, HeldFolder, Run, marked_run, read_run
from clim_mm.errors import CheckpointError, UserError


def meta(id='a', start=1, iteration=10):
    return dict(run=dict(id=id, start=start), iter=iteration)


def test_a_folder_tells_of_its_holder_and_of_its_run(tmp_path):
    folder = HeldFolder(str(tmp_path / 'new' / 'folder'))
    told = read_run(folder.folder)
    assert (told.id, told.start, told.host, told.pid) == ('', 0, socket.gethostname(), os.getpid())
    folder.begin(Run('a' * 32, 1, checkpoint='x' * 5000, pid=-1))
    folder.begin(Run('b' * 32, 2, 300, 'epoch_3.pth'))
    folder.release()
    told = read_run(folder.folder)
    assert (told.id, told.start, told.iter, told.checkpoint, told.pid) == (
        'b' * 32, 2, 300, 'epoch_3.pth', os.getpid())
    assert json.loads((tmp_path / 'new' / 'folder' / RUN_FILE).read_text())['started'] == told.started
    assert os.listdir(folder.folder) == [RUN_FILE]

    again = HeldFolder(folder.folder)
    assert (again.run.id, again.run.iter) == ('b' * 32, 300), 'it is kept until another run begins'
    again.release()


@pytest.mark.parametrize('content', [b'', b'\0' * 500, b'{"id": "a"', b'[]', b'{"id": "a"}', b'[' * 60_000, b'\xff'])
def test_a_damaged_file_tells_nothing_and_is_mended(tmp_path, content):
    (tmp_path / RUN_FILE).write_bytes(content)
    assert read_run(str(tmp_path)) == Run()
    HeldFolder(str(tmp_path)).release()
    assert read_run(str(tmp_path)).pid == os.getpid()


def test_what_is_in_the_way_of_the_file_ends_in_a_sentence(tmp_path):
    (tmp_path / 'a' / RUN_FILE).mkdir(parents=True)
    with pytest.raises(CheckpointError, match=f'Cannot write .*a/{RUN_FILE} .Is a directory.: move what is there away'):
        HeldFolder(str(tmp_path / 'a'))
    (tmp_path / 'b').write_text('')
    with pytest.raises(CheckpointError, match='Cannot write .*File exists.: choose another place'):
        HeldFolder(str(tmp_path / 'b'))
    (tmp_path / 'c').mkdir()
    (tmp_path / 'c' / RUN_FILE).symlink_to('nowhere/at/all')
    with pytest.raises(CheckpointError, match='No such file'):
        HeldFolder(str(tmp_path / 'c'))
    (tmp_path / 'd').mkdir()
    os.mkfifo(tmp_path / 'd' / RUN_FILE)
    with pytest.raises(CheckpointError, match='Illegal seek'):
        HeldFolder(str(tmp_path / 'd'))
    assert read_run(str(tmp_path / 'a')) == read_run(str(tmp_path / 'nowhere')) == Run()


@pytest.mark.parametrize(('other', 'is_own'), [
    (meta(), True), (meta(id='b'), False), (dict(iter=1), False),
    (meta(start=2, iteration=900), True), (meta(start=3, iteration=900), True), (meta(iteration=300), True),
    (meta(iteration=301), False)])
def test_checkpoints_of_a_run(other, is_own):
    assert Run('a', start=2, iter=300).owns(other) == is_own


def test_a_run_by_the_mark_of_its_checkpoint():
    run = Run('a', 4, 20)
    assert marked_run(dict(run=run.mark, iter=20)) == run
    assert marked_run(dict(iter=20)) == Run(iter=20)


def test_a_file_system_without_locks_does_not_hinder(tmp_path, monkeypatch):
    def lockf(descriptor, operation):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(fcntl, 'lockf', lockf)  # no file system here is without them
    HeldFolder(str(tmp_path)).release()
    assert read_run(str(tmp_path)).pid == os.getpid()


def test_a_training_notices_that_its_folder_was_taken(tmp_path):
    held = HeldFolder(str(tmp_path))
    held.check()
    (tmp_path / RUN_FILE).unlink()  # as the refusal advises for a lost machine
    held.check()
    (tmp_path / RUN_FILE).write_text(json.dumps(dict(vars(held.run), host='elsewhere')))
    with pytest.raises(CheckpointError, match='was taken by another training .process .* on elsewhere'):
        held.check()
    held.release()


def hold(folder, pipe):
    held = HeldFolder(folder)
    held.begin(Run('a', 1))
    assert read_run(folder).id == 'a'  # and the lock is still there
    worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(600, ))
    worker.start()
    pipe.send(worker.pid)
    worker.join()


@pytest.mark.e2e
def test_a_held_folder_is_refused_until_its_holder_is_killed(tmp_path):
    context = multiprocessing.get_context('fork')
    here, there = context.Pipe()
    holder = context.Process(target=hold, args=(str(tmp_path), there))
    holder.start()
    worker = here.recv()
    try:
        before = (tmp_path / RUN_FILE).read_bytes()
        for _ in range(2):  # the refused one has closed the file, and the lock is still there
            with pytest.raises(UserError) as refusal:
                HeldFolder(str(tmp_path))
            said = str(refusal.value)
            holder_of = f'process {holder.pid} on {socket.gethostname()}'
            assert said.startswith(f'{tmp_path} is in use by a training ({holder_of}')
            assert '--work-dir' in said and said.count('. ') == 0
        assert (tmp_path / RUN_FILE).read_bytes() == before
        holder.kill()
        holder.join()
        os.kill(worker, 0)  # forked from the holder, it lives on with a descriptor of the file
        held = HeldFolder(str(tmp_path))
        assert held.run.id == 'a' and held.run.pid == os.getpid()
        held.release()
    finally:
        os.kill(worker, signal.SIGKILL)
        holder.kill()
