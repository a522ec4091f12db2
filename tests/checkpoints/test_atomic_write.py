"""A file is the old one or the new one, whatever happens."""

import multiprocessing
import os
import random
import re
import resource
import signal
import time
from contextlib import suppress

import pytest
import torch
from mmengine.fileio import get_file_backend
from toy_runs import toy_config, toy_runner

from clim_mm.checkpoints import latest_checkpoint, read_checkpoint, write_atomically
from clim_mm.checkpoints.atomic_write import remove_abandoned
from clim_mm.errors import CheckpointError, UserError

MEGABYTE = 1 << 20


@pytest.fixture
def full_disk():
    """From now on, no file can be larger than a megabyte: writing ends as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / 'a' / 'b' / 'file'
    write_atomically(path, b'first')
    assert path.read_bytes() == b'first'
    write_atomically(str(path), b'')
    assert path.read_bytes() == b''
    assert os.listdir(path.parent) == ['file']


def test_a_file_is_on_the_disk_before_it_takes_its_name_and_the_name_follows(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda descriptor: (
        done.append((os.readlink(f'/proc/self/fd/{descriptor}'), os.fstat(descriptor).st_size)), fsync(descriptor)))
    monkeypatch.setattr(os, 'replace', lambda *paths: (done.append(paths), replace(*paths)))
    write_atomically(tmp_path / 'file', b'12345')
    unfinished, path = done[0][0], str(tmp_path / 'file')
    assert re.fullmatch(rf'{tmp_path}/\.file\.[0-9a-f]{{8}}\.unfinished', unfinished)
    assert done[:2] == [(unfinished, 5), (unfinished, path)], 'all that was written'
    assert [place for place, _ in done[2:]] == [str(tmp_path)]


def test_what_a_killed_process_left_is_removed(tmp_path):
    for name in ('.file.unfinished', '.file.0123abcd.unfinished', '.file.png.0123abcd.unfinished', '.mine.unfinished'):
        (tmp_path / name).write_bytes(b'x' * 100)
    (tmp_path / '.file.unfinished.d').mkdir()
    write_atomically(tmp_path / 'file', b'new')
    assert (tmp_path / 'file').read_bytes() == b'new'
    others = ['.file.png.0123abcd.unfinished', '.file.unfinished.d', '.mine.unfinished']
    assert sorted(os.listdir(tmp_path)) == [*others, 'file']
    remove_abandoned(str(tmp_path))
    remove_abandoned(str(tmp_path / 'nowhere'))
    assert sorted(os.listdir(tmp_path)) == ['.file.unfinished.d', 'file']


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'disk' / 'file')
    write_atomically(tmp_path / 'link', b'new')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'disk' / 'file').read_bytes() == b'new'
    assert os.listdir(tmp_path / 'disk') == ['file']


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically('file', b'1')
    assert (tmp_path / 'file').read_bytes() == b'1'


def test_a_full_disk_leaves_the_old_file(tmp_path, full_disk):
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(b'old')
    with pytest.raises(CheckpointError) as refusal:
        write_atomically(path, bytes(2 * MEGABYTE))
    assert str(refusal.value).startswith(f'Cannot write {path} (File too large): raise it (ulimit -n')
    assert str(refusal.value).endswith('; what was written before is untouched.')
    assert isinstance(refusal.value, UserError)
    assert os.listdir(tmp_path) == ['epoch_1.pth'] and path.read_bytes() == b'old'


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / 'taken').mkdir()
    with pytest.raises(CheckpointError, match='Cannot write .*taken .Is a directory.: move what is there away;'):
        write_atomically(tmp_path / 'taken', b'1')
    assert os.listdir(tmp_path) == ['taken']
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(CheckpointError, match='Cannot write .*file/x .File exists.: choose another place'):
        write_atomically(tmp_path / 'file' / 'x', b'1')


def write_in_turns(path):
    for turn in range(10**9):
        get_file_backend(backend_args=dict(backend='clim_mm.atomic')).put(bytes([turn % 200]) * (8 * MEGABYTE), path)


def write_some(path, first):
    for number in range(first, 200, 2):
        write_atomically(path, bytes([number]) * (MEGABYTE // 2))


@pytest.mark.e2e
def test_two_writers_of_a_file_are_never_seen_mixed(tmp_path):
    path = tmp_path / 'file'
    write_atomically(path, b'')
    writers = [multiprocessing.get_context('fork').Process(target=write_some, args=(path, first)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        content = path.read_bytes()
        assert content in (b'', content[:1] * (MEGABYTE // 2))
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert os.listdir(tmp_path) == ['file']


@pytest.mark.e2e
def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / 'file'
    draw = random.Random(0)
    for _ in range(10):
        child = multiprocessing.get_context('fork').Process(target=write_in_turns, args=(str(path), ))
        child.start()
        while not path.exists() or not list(tmp_path.glob('.file.*.unfinished')):  # until it is writing a second one
            time.sleep(0.001)
        time.sleep(0.02 * draw.random())
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        content = path.read_bytes()
        assert content == content[:1] * (8 * MEGABYTE)
    write_atomically(path, b'last')
    left = [name for name in os.listdir(tmp_path) if (tmp_path / name).stat().st_size]
    assert left == ['file'], 'an empty one may be another writer\'s'


def test_the_backend_is_mmengines_local_one_beside(tmp_path):
    backend = get_file_backend(str(tmp_path), backend_args=dict(backend='clim_mm.atomic'))
    path = backend.join_path(str(tmp_path), 'epoch_1.pth')
    backend.put(b'content', path)
    assert backend.get(path) == b'content' and backend.isfile(path)
    backend.remove(path)
    assert os.listdir(tmp_path) == []


ATOMIC = dict(backend_args=dict(backend='clim_mm.atomic'), max_keep_ckpts=2)


def run(work_dir, epochs, ballast, resume=None):
    torch.set_num_threads(1)
    resumed = {} if resume is None else dict(load_from=resume, resume=True)
    toy_runner(toy_config(work_dir, epochs, ATOMIC, **resumed), ballast=ballast).train()


def checkpoints_in(folder):
    """Name and size of each."""
    sizes = {}
    for name in os.listdir(folder):
        if re.fullmatch(r'epoch_\d+\.pth', name):
            with suppress(FileNotFoundError):  # an old one, deleted meanwhile
                sizes[name] = (folder / name).stat().st_size
    return sizes


def test_a_run_keeps_whole_checkpoints_only(tmp_path):
    run(tmp_path, 3, ballast=10)
    assert sorted(checkpoints_in(tmp_path)) == ['epoch_2.pth', 'epoch_3.pth']
    assert not [name for name in os.listdir(tmp_path) if 'unfinished' in name]
    assert read_checkpoint(tmp_path / 'epoch_3.pth')['meta']['epoch'] == 3


@pytest.mark.e2e
def test_a_killed_run_leaves_whole_checkpoints_and_goes_on(tmp_path):
    draw = random.Random(0)
    tmp_path = tmp_path / 'run'
    tmp_path.mkdir()
    ballast, known, epochs = 4_000_000, set(), [0]
    for _ in range(4):
        latest = latest_checkpoint(str(tmp_path))
        child = multiprocessing.get_context('fork').Process(target=run, args=(tmp_path, 10**6, ballast, latest))
        child.start()
        end = None
        while end is None or time.monotonic() < end:
            sizes = checkpoints_in(tmp_path)
            assert all(size > 4 * ballast for size in sizes.values()), 'seen while it was written'
            if end is None and set(sizes) - known:
                end = time.monotonic() + 0.2 * draw.random()
            assert child.is_alive()
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        known |= set(checkpoints_in(tmp_path))
        assert all(read_checkpoint(tmp_path / name) for name in checkpoints_in(tmp_path))
        epochs.append(read_checkpoint(latest_checkpoint(str(tmp_path)))['meta']['epoch'])
        assert epochs[-1] > epochs[-2], 'it went on from the one before'


def test_a_full_disk_stops_the_run_with_a_sentence(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run(tmp_path, 1, ballast=10)
    before = (tmp_path / 'epoch_1.pth').read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(CheckpointError, match='Cannot write .*epoch_1.pth .File too large.: raise it'):
            run(tmp_path, 2, ballast=1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if 'unfinished' in name]
