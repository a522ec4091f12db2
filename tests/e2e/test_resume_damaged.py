"""A run whose newest checkpoint is damaged goes on from the one before, or says why it does not."""

import pytest

pytestmark = pytest.mark.e2e


def test_resume_passes_over_a_damaged_checkpoint(train, tmp_path):
    started = train(tmp_path, 1, '--resume', epochs=2)
    assert started.returncode == 0, started.stdout[-3000:]
    assert f'There is no checkpoint in {tmp_path} to resume from: the training starts from the b' in started.stdout
    newest = tmp_path / 'epoch_2.pth'
    whole = newest.read_bytes()
    newest.write_bytes(whole[:len(whole) // 2])

    refused = train(tmp_path, 1, '--resume', newest, epochs=2)
    assert refused.returncode == 1
    last = refused.stdout.strip().splitlines()[-1]
    assert last.startswith(f'Error: The checkpoint {newest} is cut off or damaged (')
    assert 'Traceback' not in refused.stdout

    resumed = train(tmp_path, 1, '--resume', epochs=2)
    assert resumed.returncode == 0, resumed.stdout[-3000:]
    assert f'Passed over: The checkpoint {newest} is cut off or damaged (' in resumed.stdout
    assert 'resumed epoch: 1' in resumed.stdout
    assert len(newest.read_bytes()) > len(whole) // 2, 'written anew'
    assert not list(tmp_path.glob('.*.unfinished'))

    for path in tmp_path.glob('epoch_*.pth'):
        path.write_bytes(b'')
    nothing = train(tmp_path, 1, '--resume', epochs=2)
    assert nothing.returncode == 1
    assert nothing.stdout.strip().splitlines()[-1].startswith(f'Error: All checkpoints in {tmp_path} are damaged')
