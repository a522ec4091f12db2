"""A loader that gives no batch: real workers that are stopped, and what is said."""

import multiprocessing
import os
import signal
import threading

import pytest
from processes import started, wait_until
from torch.utils.data import DataLoader
from toy_runs import Numbers, toy_config, toy_runner

from clim_mm.distributed.loader_watch import LoaderWatch, watched
from clim_mm.errors import ConfigError
from clim_mm.hooks.upkeep_hooks import LoaderWatchHook


class Stopping(Numbers):
    """Each process that reads the third pair is stopped, as by a storage that does not answer."""

    def __getitem__(self, i):
        if i == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().__getitem__(i)


def read_all():
    os.environ['CLIM_LOADER_PATIENCE'] = '0.4'
    for batch in watched(DataLoader(Stopping(), batch_size=2, num_workers=1, multiprocessing_context='fork')):
        print(len(batch), flush=True)


def train(work_dir):
    os.environ['CLIM_LOADER_PATIENCE'] = '0.4'
    runner = toy_runner(toy_config(work_dir), [LoaderWatchHook()])
    runner.train_loop.dataloader = DataLoader(Stopping(), batch_size=2, num_workers=1, multiprocessing_context='fork')
    runner.train()


@pytest.mark.e2e
@pytest.mark.parametrize('reads', [read_all, train])
def test_a_stopped_worker_is_warned_of_and_ends_the_program_at_last(tmp_path, reads):
    output = tmp_path / 'output.txt'
    with started([(reads, () if reads is read_all else (tmp_path / 'work', ))], [output]) as (process, ):
        process.join(60)
        assert process.exitcode == 1
    said = output.read_text()
    warning, end = said.index('Warning: No batch has come for 0 s: '), said.rindex('Error: No batch has come for 5 s')
    assert warning < end and 'kill -CONT' in said[warning:end] and '--resume' in said[end:]


def go_on_after_a_stop():
    """The first sentence is said, the worker goes on, and nothing more is said."""
    os.environ['CLIM_LOADER_PATIENCE'] = '0.4'
    threading.Timer(1.5, let_go_on).start()
    loader = DataLoader(Stopping(), batch_size=2, num_workers=1, multiprocessing_context='fork')
    print(f'{len(list(watched(loader)))} batches', flush=True)


def let_go_on():
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGCONT)


@pytest.mark.e2e
def test_a_worker_that_goes_on_costs_nothing(tmp_path):
    output = tmp_path / 'output.txt'
    with started([(go_on_after_a_stop, ())], [output]) as (process, ):
        process.join(60)
        assert process.exitcode == 0
    said = output.read_text()
    assert 'was stopped' in said and said.endswith('3 batches\n')


def test_the_looks_at_a_wait_are_counted_and_not_the_time(monkeypatch, capfd):
    watch, end = LoaderWatch(), []
    monkeypatch.setattr('clim_mm.distributed.loader_watch.end_process', end.append)
    watch.expect()
    for beats in range(48):
        watch.judge(beats)
    said = [line for line in capfd.readouterr().err.splitlines() if line]
    assert [text.partition(' s:')[0] for text in said] == [
        f'Warning: No batch has come for {seconds}' for seconds in ('300', '600', '1,200', '2,400')]
    assert not end
    watch.judge(48)
    assert len(end) == 1 and end[0].startswith('No batch has come for 3,600 s: ') and '--resume' in end[0]


def test_a_wait_is_judged_from_its_own_beginning_and_the_watch_ends_with_its_object(monkeypatch):
    monkeypatch.setenv('CLIM_LOADER_PATIENCE', '0.04')
    judged = []
    monkeypatch.setattr(LoaderWatch, 'judge', lambda self, beats: judged.append(beats))
    before = threading.active_count()
    watch = LoaderWatch()
    wait_until(lambda: len(judged) > 3)
    assert not any(judged), 'nothing is waited for'
    watch.expect()
    wait_until(lambda: 3 in judged)
    so_far = len(judged)
    watch.came()
    watch.expect()
    wait_until(lambda: 0 in judged[so_far:])
    del watch
    wait_until(lambda: threading.active_count() <= before)


@pytest.mark.parametrize('given', ['a', '0', '-1', 'nan'])
def test_a_patience_that_is_none(monkeypatch, given):
    monkeypatch.setenv('CLIM_LOADER_PATIENCE', given)
    with pytest.raises(ConfigError, match='CLIM_LOADER_PATIENCE'):
        LoaderWatch()


class Waits:
    """Notes what the hook tells."""

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda: self.said.append(name)


def test_a_wait_ends_with_the_batch_and_none_begins_after_the_last(tmp_path):
    hook = LoaderWatchHook()
    runner = toy_runner(toy_config(tmp_path), [hook])
    hook._watch = waits = Waits()
    runner.train()
    assert waits.said == ['expect', 'came'] * 3 + ['came']
