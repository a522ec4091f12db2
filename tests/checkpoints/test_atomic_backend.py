"""A Runner whose CheckpointHook writes atomically."""

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
from toy_runs import toy_config, toy_runner

from clim_mm.checkpoints import latest_checkpoint, read_checkpoint
from clim_mm.errors import CheckpointError

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
        with pytest.raises(CheckpointError, match='Cannot write .*epoch_1.pth .File too large.: raise the limit'):
            run(tmp_path, 2, ballast=1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / 'epoch_1.pth').read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if 'unfinished' in name]
