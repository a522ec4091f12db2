"""What a training holds, what it clears away, and that it refuses what would stop it later."""

import multiprocessing
import os
import sys

import pytest
from mmengine.config import Config
from mmengine.logging import MessageHub
from toy_runs import NUMBERS, toy_config, toy_runner

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.run_folder import RUN_FILE, read_run
from clim_mm.errors import CheckpointError
from clim_mm.launch.run_folders import RunHook, held_folders
from clim_mm.storage import try_lock


@pytest.fixture(autouse=True)
def no_run_afterwards():
    """Let no id of these trainings get into other tests' records."""
    yield
    MessageHub.get_instance(f'held_folders_{next(NUMBERS)}')


def folders_of(cfg, resume=None):
    with held_folders(cfg, resume, None) as folders:
        return [folder.folder for folder in folders]


@pytest.mark.parametrize('out_dir', [None, '{}'])
def test_the_work_dir_is_held_once(tmp_path, out_dir):
    hook = dict(out_dir=out_dir.format(tmp_path)) if out_dir else {}
    cfg = Config(dict(work_dir=f'{tmp_path}/run/', default_hooks=dict(checkpoint=hook)))
    assert [os.path.realpath(path) for path in folders_of(cfg)] == [str(tmp_path / 'run')]
    assert read_run(str(tmp_path / 'run')).pid == os.getpid()


def test_so_is_the_folder_of_the_checkpoints(tmp_path):
    cfg = Config(dict(work_dir=f'{tmp_path}/work/run',
                      default_hooks=dict(checkpoint=dict(out_dir=f'{tmp_path}/out'))))
    assert folders_of(cfg) == [f'{tmp_path}/out/run', f'{tmp_path}/work/run']
    cfg.default_hooks.checkpoint.out_dir = 's3://bucket'
    assert folders_of(cfg) == [f'{tmp_path}/work/run']


def test_what_killed_writers_left_is_cleared_away(tmp_path):
    (tmp_path / 'neighbors').mkdir()
    for name in ('.epoch_3.pth.unfinished', '.epoch_4.pth.0123abcd.unfinished', 'neighbors/.a.html.0123abcd.unfinished',
                 'epoch_4.pth', '.mine'):
        (tmp_path / name).write_text('x')
    folders_of(Config(dict(work_dir=str(tmp_path))))
    assert sorted(os.listdir(tmp_path)) == ['.mine', 'epoch_4.pth', 'neighbors', RUN_FILE]
    assert os.listdir(tmp_path / 'neighbors') == []


@pytest.mark.parametrize('name', ['last_checkpoint', 'config.py', 'figures.json'])
def test_what_is_in_the_way_is_said_before_the_training(tmp_path, name):
    (tmp_path / 'config.py').write_text('')
    config = Config(dict(work_dir=str(tmp_path / 'work')), filename=tmp_path / 'config.py')
    (tmp_path / 'work' / name).mkdir(parents=True)
    with pytest.raises(CheckpointError, match=f'Cannot write {tmp_path}/work/{name} .Is a directory.: move what is'):
        folders_of(config)
    (tmp_path / 'work' / name).rmdir()
    os.mkfifo(tmp_path / 'work' / name)
    with pytest.raises(CheckpointError, match=f'Cannot write {tmp_path}/work/{name} .*: move what is there away'):
        folders_of(config)
    (tmp_path / 'work' / name).unlink()
    (tmp_path / 'work' / name).symlink_to('nowhere/file')
    with pytest.raises(CheckpointError, match=f'Cannot write {tmp_path}/work/{name} .*: move what is there away'):
        folders_of(config)


def test_a_link_to_itself_is_nothing_to_stumble_over(tmp_path):
    (tmp_path / 'link').symlink_to('link')
    assert folders_of(Config(dict(work_dir=str(tmp_path)))) == [str(tmp_path)]


def train(work_dir, epochs, resume=None, **settings):
    """A toy training, as ``tools/train.py`` makes it; gives its folder's run, and its log."""
    cfg = toy_config(work_dir, epochs, **settings)
    cfg.log_level = 'INFO'
    with held_folders(cfg, resume, None) as folders:
        runner = toy_runner(cfg, hooks=[RunHook(folders)])
        runner.train()
    log, = (work_dir / runner.timestamp).glob('*.log')
    return read_run(str(work_dir)), log.read_text().rpartition('Checkpoints will be saved')[0], runner


def run_of(path):
    return read_checkpoint(path)['meta']['run']


@pytest.mark.e2e
def test_a_fresh_start_is_a_new_run_and_a_resumed_one_the_same(tmp_path):
    first, log, runner = train(tmp_path, 2)
    assert len(first.id) == 32 and (first.start, first.iter, first.checkpoint) == (1, 0, '')
    assert runner.message_hub.get_info('run_id') == first.id
    assert 'starts anew' not in log and f'Run {first.id}, start 1.' in log
    assert run_of(tmp_path / 'epoch_2.pth') == dict(id=first.id, start=1)

    resumed, log, runner = train(tmp_path, 4, 'auto')
    assert (resumed.id, resumed.start, resumed.iter, resumed.checkpoint) == (first.id, 2, 6, 'epoch_2.pth')
    assert 'starts anew' not in log and 'resumed epoch: 2' in log
    assert [run_of(tmp_path / f'epoch_{n}.pth')['start'] for n in (2, 3, 4)] == [1, 2, 2]

    back, _, _ = train(tmp_path, 3, str(tmp_path / 'epoch_1.pth'))
    assert (back.id, back.start, back.iter) == (first.id, 3, 3)
    resumed, log, _ = train(tmp_path, 4, 'auto')
    assert 'resumed epoch: 3' in log and resumed.start == 4, 'not from epoch 4, which was given up'

    new, log, _ = train(tmp_path, 1)
    assert new.id != first.id and new.start == 1
    assert 'WARNING' in log and all(words in log for words in (
        f'{tmp_path} has checkpoints of an earlier run (epoch_4.pth, epoch_3.pth, epoch_2.pth, ...)', '--resume',
        '--work-dir'))
    _, log, _ = train(tmp_path, 2, 'auto')
    assert 'resumed epoch: 1' in log


def test_a_run_resumed_in_another_folder_begins_there_when_it_is_killed_at_once(tmp_path):
    first, _, _ = train(tmp_path / 'a', 2)
    cfg = toy_config(tmp_path / 'b', 3, dict(save_begin=9, save_last=False))
    with held_folders(cfg, str(tmp_path / 'a' / 'epoch_2.pth'), None) as folders:
        toy_runner(cfg, hooks=[RunHook(folders)]).train()  # leaves no checkpoint
    run, log, _ = train(tmp_path / 'b', 3, 'auto')
    assert 'resumed epoch: 2' in log and run.id == first.id


@pytest.mark.e2e
def test_a_run_resumed_among_the_checkpoints_of_another_says_so(tmp_path):
    for folder in 'ab':
        train(tmp_path / folder, 2)
    _, log, _ = train(tmp_path / 'b', 3, str(tmp_path / 'a' / 'epoch_1.pth'))
    warning, = (line for line in log.splitlines() if 'writes over them' in line)
    assert f'{tmp_path}/b has checkpoints of an earlier run (epoch_2.pth, epoch_1.pth)' in warning
    assert f'goes on from {tmp_path}/a/epoch_1.pth' in warning and 'start it with another --work-dir' in warning
    _, log, _ = train(tmp_path / 'b', 4, str(tmp_path / 'a' / 'epoch_2.pth'))
    assert log.count('writes over them') < 2, 'it is the same run now; a second has one log'


def test_a_start_that_fails_before_its_first_epoch_leaves_the_run_as_it_was(tmp_path):
    first, _, _ = train(tmp_path, 1)
    cfg = toy_config(tmp_path, 2)
    with held_folders(cfg, None, None) as folders:
        runner = toy_runner(cfg, hooks=[RunHook(folders)])
        runner.train_loop.run = None
        with pytest.raises(TypeError):
            runner.train()
    assert read_run(str(tmp_path)).id == first.id


def exit_with_lock(path):
    sys.exit(try_lock(os.open(path, os.O_RDWR)) is True)


@pytest.mark.e2e
def test_a_resumed_training_holds_its_folder_too(tmp_path):
    train(tmp_path, 1)
    context = multiprocessing.get_context('fork')
    for resume in ('auto', None):
        with held_folders(toy_config(tmp_path, 2), resume, None):
            process = context.Process(target=exit_with_lock, args=(tmp_path / RUN_FILE, ))
            process.start()
            process.join()
            assert process.exitcode == 0
