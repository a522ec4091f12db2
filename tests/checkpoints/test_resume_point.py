"""The newest checkpoint that can be read."""

import json
import os

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from toy_runs import NUMBERS, toy_config, toy_runner

from clim_mm.checkpoints import latest_checkpoint, resume_latest
from clim_mm.checkpoints.run_folder import RUN_FILE, Run
from clim_mm.errors import CheckpointError, DamagedCheckpoint


class Foreign:
    """A class of nobody's list."""


@pytest.fixture
def log(tmp_path_factory):
    """The lines of MMEngine's current logger so far: ``log()``."""
    path = tmp_path_factory.mktemp('log') / 'log.txt'
    MMLogger.get_instance(f'latest_{next(NUMBERS)}', log_file=str(path))
    return lambda: path.read_text().splitlines()


def write(folder, *names, iteration=1):
    for name in names:
        torch.save(dict(meta=dict(iter=iteration), state_dict=dict()), folder / name)


def write_of(folder, run, start, *epochs):
    """Checkpoints of a run's start, ten iterations an epoch."""
    for epoch in epochs:
        meta = dict(epoch=epoch, iter=10 * epoch, run=dict(id=run, start=start))
        torch.save(dict(meta=meta, state_dict=dict()), folder / f'epoch_{epoch}.pth')


def note(folder, *run):
    (folder / RUN_FILE).write_text(json.dumps(vars(Run(*run))))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_the_highest_number_wins(tmp_path):
    write(tmp_path, 'epoch_2.pth', 'epoch_10.pth', 'epoch_9.pth')
    write(tmp_path, 'best_top1_epoch_11.pth', '.epoch_12.pth.unfinished', 'epoch_13.pth.old', 'epoch_x.pth', 'epoch_14')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_10.pth')


def test_a_damaged_one_is_passed_over_with_a_warning(tmp_path, log):
    write(tmp_path, 'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'epoch_4.pth')
    cut(tmp_path / 'epoch_3.pth')
    (tmp_path / 'epoch_4.pth').write_bytes(b'\0' * 100)
    (tmp_path / 'last_checkpoint').write_text('')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')
    warnings = [line for line in log() if 'WARNING' in line]
    assert len(warnings) == 2
    assert f'Passed over: The checkpoint {tmp_path}/epoch_4.pth is cut off or damaged' in warnings[0]
    assert f'Passed over: The checkpoint {tmp_path}/epoch_3.pth is cut off or damaged' in warnings[1]


@pytest.mark.parametrize('by_iteration, name', [(7, 'iter_7.pth'), (5, 'epoch_2.pth')])
def test_of_epochs_and_iterations_the_one_further_on(tmp_path, by_iteration, name):
    write(tmp_path, 'epoch_2.pth', iteration=6)
    write(tmp_path, f'iter_{by_iteration}.pth', iteration=by_iteration)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / name)


def test_other_names(tmp_path):
    write(tmp_path, 'run+1.pth', 'run+3.pth', 'runn2.pth', 'epoch_9.pth')
    assert latest_checkpoint(str(tmp_path), ['run+{}.pth']) == str(tmp_path / 'run+3.pth')


def test_no_checkpoints(tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    assert latest_checkpoint(str(tmp_path / 'nowhere')) is None


def test_only_damaged_ones_are_not_taken_for_none(tmp_path):
    write(tmp_path, 'epoch_1.pth', 'epoch_2.pth')
    cut(tmp_path / 'epoch_1.pth')
    (tmp_path / 'epoch_2.pth').write_bytes(b'')
    with pytest.raises(CheckpointError, match=f'No checkpoint in {tmp_path} is whole and of the latest run there'):
        latest_checkpoint(str(tmp_path))


def test_one_that_is_whole_but_not_data_is_not_passed_over(tmp_path):
    write(tmp_path, 'epoch_1.pth')
    torch.save(dict(x=Foreign()), tmp_path / 'epoch_2.pth')
    with pytest.raises(CheckpointError, match='epoch_2.pth needs .*Foreign') as refusal:
        latest_checkpoint(str(tmp_path))
    assert not isinstance(refusal.value, DamagedCheckpoint)


@pytest.mark.parametrize('before', [dict(), dict(load_from='weights.pth'), dict(load_from='weights.pth', resume=True)])
def test_a_config_that_resumes(tmp_path, before):
    write(tmp_path, 'epoch_1.pth')
    cfg = Config(dict(work_dir=str(tmp_path), **before))
    resume_latest(cfg)
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'epoch_1.pth'))


def test_a_config_whose_checkpoints_have_another_name_and_folder(tmp_path):
    (tmp_path / 'out' / 'run').mkdir(parents=True)
    write(tmp_path / 'out' / 'run', 'state-1.pth', 'state-12.pth')
    checkpoint = dict(type='CheckpointHook', out_dir=str(tmp_path / 'out'), filename_tmpl='state-{}.pth')
    cfg = Config(dict(work_dir=f'{tmp_path}/work/run/', default_hooks=dict(checkpoint=checkpoint)))
    resume_latest(cfg)
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'out' / 'run' / 'state-12.pth'))


def test_a_runs_own_checkpoints_are_found(tmp_path):
    hook = dict(out_dir=str(tmp_path / 'out'), filename_tmpl='state-{}.pth')
    toy_runner(toy_config(tmp_path / 'run', 2, hook)).train()
    cfg = toy_config(tmp_path / 'run', 3, hook)
    resume_latest(cfg)
    assert cfg.load_from == str(tmp_path / 'out' / 'run' / 'state-2.pth')
    runner = toy_runner(cfg)
    runner.train()
    assert runner.epoch == 3 and (tmp_path / 'out' / 'run' / 'state-3.pth').is_file()


@pytest.mark.parametrize('before, now', [
    (dict(), dict(filename_tmpl='state-{}.pth')), (dict(filename_tmpl='state-{}.pth'), dict()),
    (dict(), dict(out_dir='OUT')), (dict(out_dir='OUT'), dict())])
def test_checkpoints_that_were_called_otherwise_or_are_elsewhere_are_not_overlooked(tmp_path, before, now):
    before, now = ({name: value.replace('OUT', f'{tmp_path}/out') for name, value in hook.items()}
                   for hook in (before, now))
    toy_runner(toy_config(tmp_path / 'run', 2, before)).train()
    with pytest.raises(CheckpointError, match='but the last one is .*2.pth: go on with it by --resume /'):
        resume_latest(toy_config(tmp_path / 'run', 3, now))


@pytest.mark.parametrize('before, after, words', [
    (dict(), (False, None), 'starts from the beginning'),
    (dict(resume=True), (False, None), 'starts from the beginning'),
    (dict(resume=True, load_from=None, default_hooks=None), (False, None), 'starts from the beginning'),
    (dict(load_from='weights.pth', resume=False), (False, 'weights.pth'), 'starts from weights.pth'),
    (dict(load_from='other/epoch_3.pth', resume=True), (True, 'other/epoch_3.pth'), 'starts from other/epoch_3.pth'),
])
def test_without_checkpoints_the_config_holds_and_it_is_said(tmp_path, log, before, after, words):
    cfg = Config(dict(work_dir=str(tmp_path), **before))
    resume_latest(cfg)
    assert (cfg.resume, cfg.get('load_from')) == after
    line, = log()
    assert line.endswith(f'WARNING - There is no checkpoint in {tmp_path} to resume from: the training {words}.')


def test_of_two_runs_the_latest_counts(tmp_path, log):
    write_of(tmp_path, 'old', 1, 2, 3, 4)
    write_of(tmp_path, 'new', 1, 1)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_4.pth'))
    note(tmp_path, 'new', 1)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_1.pth')
    passed_over = [line.partition('Passed over: ')[2].split()[0] for line in log()]
    assert passed_over == [str(tmp_path / f'epoch_{n}.pth') for n in (4, 3, 2)]
    note(tmp_path, 'old', 1)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_4.pth')


@pytest.mark.parametrize('damaged', [None, b'', b'{'])
def test_without_the_runs_file_the_last_checkpoint_tells_which_run(tmp_path, damaged):
    write_of(tmp_path, 'old', 1, 3, 4)
    write_of(tmp_path, 'new', 1, 1, 2)
    if damaged is not None:
        (tmp_path / RUN_FILE).write_bytes(damaged)
    (tmp_path / 'last_checkpoint').write_text('/where/it/was/copied/from/epoch_1.pth')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth'), 'written, but not yet noted'


@pytest.mark.parametrize('make', [
    lambda path: path.mkdir(), lambda path: path.symlink_to('nowhere'), lambda path: path.write_bytes(b'\xff\0'),
    lambda path: path.write_text(''), lambda path: path.write_text('epoch_7.pth')])
def test_a_last_checkpoint_that_tells_nothing(tmp_path, make):
    write_of(tmp_path, 'a', 1, 1, 2)
    make(tmp_path / 'last_checkpoint')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')


def test_a_run_that_began_from_a_checkpoint_without_an_id_begins_there_again(tmp_path, log):
    write(tmp_path, 'epoch_3.pth', iteration=30)
    write(tmp_path, 'epoch_4.pth', iteration=40)
    note(tmp_path, 'new', 1, 40, 'epoch_4.pth')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_4.pth') and log() == []
    write_of(tmp_path, 'new', 1, 5)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_5.pth')
    for path in tmp_path.glob('epoch_*'):
        cut(path)
    with pytest.raises(CheckpointError, match='No checkpoint in .* is whole'):
        latest_checkpoint(str(tmp_path))


def test_what_a_run_gave_up_for_an_earlier_checkpoint_does_not_count(tmp_path):
    write_of(tmp_path, 'a', 1, 1, 2, 3, 4, 5)
    note(tmp_path, 'a', 2, 30, 'epoch_3.pth')  # resumed from there, and killed before it came to epoch 4
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_3.pth')
    write_of(tmp_path, 'a', 2, 4)
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_4.pth')
    cut(tmp_path / 'epoch_4.pth')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_3.pth')


def test_a_run_that_began_from_a_file_elsewhere_begins_there_again(tmp_path):
    (tmp_path / 'a').mkdir(), (tmp_path / 'b').mkdir()
    write(tmp_path / 'a', 'epoch_5.pth', iteration=50)
    note(tmp_path / 'b', 'new', 1, 50, str(tmp_path / 'a' / 'epoch_5.pth'))
    assert latest_checkpoint(str(tmp_path / 'b')) == str(tmp_path / 'a' / 'epoch_5.pth')
    write(tmp_path / 'a', 'epoch_5.pth', iteration=60)  # another one by now
    assert latest_checkpoint(str(tmp_path / 'b')) is None


def test_a_run_without_a_whole_checkpoint_among_those_of_another(tmp_path):
    write_of(tmp_path, 'old', 1, 3, 4)
    note(tmp_path, 'new', 1)
    write_of(tmp_path, 'new', 1, 1)
    cut(tmp_path / 'epoch_1.pth')
    with pytest.raises(CheckpointError, match=f'No checkpoint in {tmp_path} .*--resume FILE.*--work-dir'):
        latest_checkpoint(str(tmp_path))


def test_what_is_no_file_is_passed_over(tmp_path):
    write(tmp_path, 'epoch_2.pth')
    (tmp_path / 'epoch_9.pth').mkdir()
    (tmp_path / 'epoch_8.pth').symlink_to('nowhere')
    os.mkfifo(tmp_path / 'epoch_7.pth')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')
    (tmp_path / 'epoch_2.pth').unlink()
    assert latest_checkpoint(str(tmp_path)) is None
