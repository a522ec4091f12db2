"""A run whose newest checkpoint is damaged goes on from the one before, or says why it does not."""

import shutil

import pytest

pytestmark = pytest.mark.e2e


def test_resume_passes_over_a_damaged_checkpoint(train, trained, tmp_path):
    whole_run = trained('small')
    assert (f'There is no checkpoint in {whole_run.work_dir} to resume from: the training starts from the b'
            in whole_run.output)
    work_dir = shutil.copytree(whole_run.work_dir, tmp_path / 'work')
    newest = work_dir / 'epoch_2.pth'
    whole = newest.read_bytes()
    newest.write_bytes(whole[:len(whole) // 2])

    refused = train(work_dir, 1, '--resume', newest, epochs=2)
    assert refused.returncode == 1
    last = refused.stdout.strip().splitlines()[-1]
    assert last.startswith(f'Error: The checkpoint {newest} is cut off or damaged (')
    assert 'Traceback' not in refused.stdout

    resumed = train(work_dir, 1, '--resume', epochs=2)
    assert resumed.returncode == 0, resumed.stdout[-3000:]
    assert f'Passed over: The checkpoint {newest} is cut off or damaged (' in resumed.stdout
    assert 'resumed epoch: 1' in resumed.stdout
    assert len(newest.read_bytes()) > len(whole) // 2, 'written anew'
    assert not list(work_dir.glob('.*.unfinished'))

    for path in work_dir.glob('epoch_*.pth'):
        path.write_bytes(b'')
    nothing = train(work_dir, 1, '--resume', epochs=2)
    assert nothing.returncode == 1
    assert nothing.stdout.strip().splitlines()[-1].startswith(f'Error: No checkpoint in {work_dir} is whole')
