"""Whose run a work dir holds: two trainings in one, a run killed among an older one's checkpoints, a full disk."""

import json
import os
import resource
import socket
import sys

import pytest
from forked import ROOT, ForkedProgram

sys.path.append(str(ROOT / 'tests' / 'faults'))

from small_training import Training, write_images

from clim_mm.checkpoints import HeldFolder, read_checkpoint

pytestmark = pytest.mark.e2e


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('digits') / 'images')




def test_resume_goes_on_with_the_latest_run_of_a_work_dir(images, tmp_path):
    work_dir = tmp_path / 'work'
    old = Training(images, work_dir, options=['train_cfg.max_epochs=4'])
    old.wait()
    assert old.exit_codes == [0], old.text[-3000:]
    old_id = read_checkpoint(work_dir / 'epoch_4.pth')['meta']['run']['id']

    new = Training(images, work_dir, options=['randomness.seed=5'])
    assert new.wait(lambda: 'Epoch(train) [2][2/' in new.text.partition('starts anew')[2])
    new.kill()
    warning, = (line for line in new.text.splitlines() if 'starts anew' in line)
    assert 'epoch_4.pth' in warning and '--resume' in warning and '--work-dir' in warning
    said = len(new.text)
    resumed = Training(images, work_dir, resume=True, options=['randomness.seed=5', 'train_cfg.max_epochs=2'])
    resumed.wait()
    text = resumed.text[said:]
    assert resumed.exit_codes == [0], text[-3000:]
    assert 'resumed epoch: 1' in text and f'Passed over: {work_dir}/epoch_4.pth is not of the latest run' in text
    meta = read_checkpoint(work_dir / 'epoch_2.pth')['meta']
    assert meta['seed'] == 5 and meta['run']['id'] != old_id and meta['run']['start'] == 2
    for records in (work_dir / 'neighbors.jsonl', work_dir / 'watchdog.jsonl', *work_dir.glob('*/vis_data/*.json')):
        ids = {json.loads(line)['run_id'] for line in records.read_text().splitlines()}
        assert ids <= {old_id, meta['run']['id']} and len(ids) == (2 if records.suffix == '.jsonl' else 1)


@pytest.mark.parametrize('processes', [1, 2])
def test_a_work_dir_in_use_is_refused_until_its_training_is_killed(images, tmp_path, processes):
    work_dir = tmp_path / 'work'
    first = Training(images, work_dir, processes, options=['train_cfg.max_epochs=1000'])
    assert first.wait(lambda: (work_dir / 'epoch_1.pth').exists()), first.text[-3000:]
    try:
        told = json.loads((work_dir / 'run.json').read_text())
        for arguments in ([], ['--resume']):
            second = ForkedProgram('tools/train.py', [
                ROOT / 'tests/faults/clim_small_digits.py', '--work-dir', work_dir, *arguments,
                *(['--launcher', 'pytorch'] if processes > 1 else [])], tmp_path / 'second.out', processes)
            second.wait()
            assert second.exit_codes == [1] * processes
            said = [line for line in second.text.splitlines() if line.startswith('Error: ')]
            of_others = [line for line in said if line.startswith('Error: Rank 0 on ')]
            assert len(of_others) == processes - 1 and [line for line in said if line not in of_others] == [
                f'Error: {work_dir} is in use by a training (process {told["pid"]} on {socket.gethostname()}, since '
                f'{told["started"]}): wait for its end, end it, or choose another --work-dir; if that machine is lost, '
                f'delete {work_dir}/run.json.']
            assert 'Traceback' not in second.text
            (tmp_path / 'second.out').unlink()
        assert json.loads((work_dir / 'run.json').read_text()) == told
        assert len([path for path in work_dir.iterdir() if path.name.startswith('20')]) == 1, 'logs of the first alone'
        os.kill(told['pid'], 0)
    finally:
        first.kill()
    epochs = 1 + max(int(path.stem.removeprefix('epoch_')) for path in work_dir.glob('epoch_*.pth'))
    third = Training(images, work_dir, processes, resume=True, options=[f'train_cfg.max_epochs={epochs}'])
    third.wait()
    assert third.exit_codes == [0] * processes, third.text[-3000:]


@pytest.mark.parametrize(('command', 'place'), [('study.py', 'work_dirs/studies/digits'),
                                                ('quickstart.py', 'work_dirs/quickstart'),
                                                ('quickstart.py', 'work_dirs/quickstart/clim')])
def test_commands_that_train_take_no_folder_from_another(run, tmp_path, command, place):
    held = HeldFolder(str(tmp_path / place))
    (tmp_path / place / 'epoch_1.pth').write_text('')
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    result = run(f'tools/{command}', *['configs/studies/digits.py'] * (command == 'study.py'), folder=tmp_path)
    held.release()
    assert result.returncode == 1
    assert result.stdout.strip().splitlines()[-1].startswith(f'Error: {place} is in use by a training (process ')
    assert (tmp_path / place / 'epoch_1.pth').exists()


def test_on_a_full_disk_records_are_left_out_and_a_checkpoint_ends_the_training(images, tmp_path):
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    records = [work_dir / 'watchdog.jsonl', work_dir / 'neighbors.jsonl']
    for path in records:
        path.write_text('{"run": "before"}\n' * 50_000)
    options = ['train_cfg.max_epochs=4', 'default_hooks.checkpoint.interval=2']
    training = Training(images, work_dir, options=options)
    assert training.wait(lambda: (work_dir / 'last_checkpoint').exists()), training.text[-3000:]
    sizes = [path.stat().st_size for path in records]
    # No file grows beyond it, as on a full disk: it is less than these records and a checkpoint, more than the output.
    pid = json.loads((work_dir / 'run.json').read_text())['pid']
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    training.wait()
    assert training.exit_codes == [1]
    last = training.text.strip().splitlines()[-1]
    assert last.startswith(f'Error: Cannot write {work_dir}/epoch_4.pth (File too large): raise it')
    assert 'Traceback' not in training.text
    assert all(f'A record is missing in {path} (' in training.text for path in records)
    assert all(path.stat().st_size - size < 5000 and path.read_text().endswith('}\n')
               for path, size in zip(records, sizes, strict=True))
    assert not list(work_dir.glob('.*'))
    training = Training(images, work_dir, resume=True, options=options)
    training.wait()
    assert training.exit_codes == [0] and (work_dir / 'epoch_4.pth').exists()
