"""The hook's table in checkpoints: saved, restored, ignored, refused."""

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from training_runs import features_by_hand, hook_cfg, lines_of, runner_of, train, write_images

from clim_mm.errors import CheckpointError
from clim_mm.neighbors import cluster
from clim_mm.neighbors.refresh import refresh_seed

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def state_of(runner):
    table = runner.train_dataloader.dataset.table
    return table.positives.copy(), table.version


def neighbors_in(path):
    """What the hook has put into a checkpoint."""
    return torch.load(path, map_location='cpu', weights_only=False)['neighbors']


def centroids_by_hand(folder, witness, epoch):
    """(4, 16): what faiss makes of the features that a refresh must have found."""
    return cluster(features_by_hand(folder, witness.encoders[epoch]['momentum']), 4, seed=refresh_seed(7, epoch))[0]


@pytest.fixture(scope='module')
def undisturbed_run(folder, tmp_path_factory):
    """A witness and a runner of four epochs, refreshed at 0 and 2."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as every run of this file: the module's fixtures come before the test's
    yield train(folder, tmp_path_factory.mktemp('whole'), 4, num_workers=0)
    torch.set_num_threads(threads)


@pytest.mark.e2e
@pytest.mark.parametrize('stop', [1, 2])
def test_a_resumed_run_goes_on_as_if_undisturbed(folder, tmp_path, undisturbed_run, stop):
    begin, hook = 0, hook_cfg()
    undisturbed, whole = undisturbed_run
    first, stopped = train(folder, tmp_path / 'parts', stop, hook, num_workers=0, checkpoints=True)
    path = tmp_path / 'parts' / f'epoch_{stop}.pth'
    saved = neighbors_in(path)
    positives, version = state_of(stopped)
    np.testing.assert_array_equal(saved['table']['positives'].numpy(), positives)
    assert int(saved['table']['version']) == version == sum(e in range(begin, stop, 2) for e in range(stop))
    np.testing.assert_array_equal(saved['centroids'].numpy(), centroids_by_hand(folder, first, epoch=0))

    resumed, runner = train(
        folder, tmp_path / 'parts', 4, hook, num_workers=1, resume=True, load_from=str(path))
    assert sorted(resumed.tables) == list(range(stop, 4)), 'it went on where it was stopped'
    due = [epoch for epoch in range(stop, 4) if epoch >= begin and (epoch - begin) % 2 == 0]
    assert [line['epoch'] for line in lines_of(tmp_path / 'parts')[version:]] == due
    if stop not in due:
        np.testing.assert_array_equal(resumed.tables[stop], positives)
        assert resumed.versions()[stop] == {version}
    np.testing.assert_array_equal(state_of(runner)[0], state_of(whole)[0])
    assert state_of(runner)[1] == state_of(whole)[1] == undisturbed.versions()[3].pop()
    drawn = [[sample[:4] for sample in witness.samples if sample[0] >= stop] for witness in (undisturbed, resumed)]
    assert drawn[0] == drawn[1], 'the same samples in the same order'


@pytest.mark.e2e
def test_the_centres_stay_in_the_checkpoints_of_a_resumed_run(folder, tmp_path):
    first, _ = train(folder, tmp_path, 1, num_workers=0, checkpoints=True)
    path = str(tmp_path / 'epoch_1.pth')
    resumed, _ = train(folder, tmp_path, 3, num_workers=0, checkpoints=True, resume=True, load_from=path)
    expected = centroids_by_hand(folder, first, epoch=0)
    assert expected.shape == (4, 16) and expected.dtype == np.float32
    for epoch, centroids in [(1, expected), (2, expected), (3, centroids_by_hand(folder, resumed, epoch=2))]:
        saved = neighbors_in(tmp_path / f'epoch_{epoch}.pth')
        np.testing.assert_array_equal(saved['centroids'].numpy(), centroids)
        assert int(saved['table']['version']) == (1 if epoch < 3 else 2)


class OnGPU(torch.Tensor):
    """As a tensor there: it gives no array until it has been brought back."""

    def cpu(self):  # noqa: D102
        return self.as_subclass(torch.Tensor)

    def numpy(self):  # noqa: D102
        raise TypeError('not on the CPU')


class LoadToGPU(Hook):
    """MMEngine loads a checkpoint to the device that it trains on."""

    def after_load_checkpoint(self, runner, checkpoint):  # noqa: D102
        checkpoint['neighbors']['centroids'] = checkpoint['neighbors']['centroids'].as_subclass(OnGPU)


def test_centres_that_were_loaded_to_a_gpu_are_taken_up(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path)
    runner = runner_of(folder, tmp_path / 'on', 3, hook_cfg(exact=False), num_workers=0, resume=True, load_from=path)
    runner.register_hook(LoadToGPU(), priority='VERY_HIGH')
    runner.train()
    assert [line['epoch'] for line in lines_of(tmp_path / 'on')] == [2]


@pytest.mark.parametrize('exact', [True, False])
def test_centres_of_another_number_are_no_start(folder, tmp_path, exact):
    path = checkpoint_of(folder, tmp_path)
    hook = hook_cfg(exact=exact, num_clusters=3)
    train(folder, tmp_path / 'on', 3, hook, num_workers=0, resume=True, load_from=path)
    assert [line['num_clusters'] for line in lines_of(tmp_path / 'on')] == [3]


def test_before_the_first_refresh_there_are_no_centres(folder, tmp_path):
    saved = neighbors_in(checkpoint_of(folder, tmp_path, hook=hook_cfg(begin=1)))
    assert saved['centroids'] is None
    assert int(saved['table']['version']) == 0 and (saved['table']['positives'] == -1).all()


def checkpoint_of(folder, work_dir, **kwargs):
    train(folder, work_dir, 1, num_workers=0, checkpoints=True, **kwargs)
    return str(work_dir / 'epoch_1.pth')


def test_weights_alone_bring_no_table(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path / 'first')
    witness, runner = train(folder, tmp_path / 'second', 2, hook_cfg(begin=1), load_from=path)
    assert witness.versions() == {0: {0}, 1: {1}}
    assert (witness.tables[0] == -1).all()
    trained = torch.load(path, map_location='cpu', weights_only=False)['state_dict']
    started = witness.encoders[0]['momentum'].state_dict()
    assert all(torch.equal(trained[f'encoder_k.module.{name}'], value) for name, value in started.items())


def test_a_checkpoint_without_a_table_is_refreshed_at_once(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path)
    checkpoint = torch.load(path, map_location='cpu', weights_only=False)
    del checkpoint['neighbors']
    torch.save(checkpoint, path)
    witness, _ = train(folder, tmp_path / 'on', 3, hook_cfg(interval=5), resume=True, load_from=path)
    assert witness.versions() == {1: {1}, 2: {1}}
    assert [line['epoch'] for line in lines_of(tmp_path / 'on')] == [1]


def test_a_checkpoint_of_another_training_set_is_refused(folder, tmp_path):
    path = checkpoint_of(folder, tmp_path / 'first')
    write_images(tmp_path / 'fewer', 20)
    runner = runner_of(tmp_path / 'fewer', tmp_path / 'second', 2, resume=True, load_from=path)
    with pytest.raises(CheckpointError, match='The neighbours of the checkpoint .*The table has 20 samples'):
        runner.train()
