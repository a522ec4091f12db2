"""What a checkpoint still tells of its positives."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from training_runs import N, features_by_hand, hook_cfg, model_cfg, pairs_cfg, table_by_hand, train, write_images

from clim_mm.errors import CheckpointError
from clim_mm.evaluation.checkpoint_neighbors import neighbors_of_checkpoint
from clim_mm.neighbors.whitening import whitened

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def config(folder, **options):
    return Config(dict(dict(
        default_scope='clim_mm', model=model_cfg(), randomness=dict(seed=7), custom_hooks=[hook_cfg()],
        train_dataloader=dict(dataset=dict(dataset=pairs_cfg(folder)['dataset']))), **options))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The images, a work dir with the checkpoint of three epochs, and the runner at their end."""
    root = tmp_path_factory.mktemp('run')
    write_images(root / 'images', N)
    _, runner = train(root / 'images', root / 'work', 3, num_workers=0, checkpoints=True)
    return root / 'images', root / 'work' / 'epoch_3.pth', runner


def altered(run, tmp_path, change):
    """The checkpoint with something changed."""
    held = torch.load(run[1], weights_only=False)
    change(held)
    torch.save(held, tmp_path / 'other.pth')
    return str(tmp_path / 'other.pth')


def test_the_table_of_then_and_the_features_of_now(run):
    folder, path, runner = run
    seen = neighbors_of_checkpoint(config(folder), str(path))
    features = features_by_hand(folder, runner.model.encoder('momentum').eval())
    np.testing.assert_allclose(seen.found.features, features, atol=1e-6)
    np.testing.assert_array_equal(seen.found.positives, runner.train_dataloader.dataset.table.positives)
    np.testing.assert_array_equal(seen.table, seen.found.positives)
    centroids = torch.load(path, weights_only=False)['neighbors']['centroids'].numpy()
    np.testing.assert_array_equal(seen.found.centroids, centroids)
    to_centers = ((features[:, None] - centroids[None])**2).sum(axis=2)
    np.testing.assert_array_equal(seen.found.assignments, to_centers.argmin(axis=1))
    between = ((features[:, None] - features[None])**2).sum(axis=2) + 100 * np.eye(N)
    np.testing.assert_array_equal(seen.found.neighbors, np.argsort(between, axis=1)[:, :6])
    assert (seen.strategy, seen.epochs, len(seen.source)) == ('center_wise', 3, N)


def test_anew_is_the_refresh_that_would_come_next(run):
    folder, path, runner = run
    seen = neighbors_of_checkpoint(config(folder), str(path), anew=True)
    expected = table_by_hand(features_by_hand(folder, runner.model.encoder('momentum').eval()), epoch=3)
    np.testing.assert_array_equal(seen.found.positives, expected)
    np.testing.assert_array_equal(seen.table, runner.train_dataloader.dataset.table.positives)
    assert 0 < seen.found.report['positives_changed'] <= 1
    some = neighbors_of_checkpoint(
        config(folder, custom_hooks=[hook_cfg(layer='pooled', whiten=0.2, surest=0.5)]), str(path), anew=True).found
    features = whitened(features_by_hand(folder, runner.model.encoder('momentum').eval(), 'pooled'), 0.2)
    np.testing.assert_allclose(some.features, features, atol=1e-4)
    assert (some.positives >= 0).any(axis=1).mean() == 0.5


def test_another_training_set_is_refused(run, tmp_path):
    write_images(tmp_path, N - 1)
    with pytest.raises(CheckpointError, match='epoch_3.pth is of another training set .*: set data_root'):
        neighbors_of_checkpoint(config(tmp_path), str(run[1]))


@pytest.mark.parametrize('change, complaint', [
    (lambda held: held.pop('neighbors'), 'other.pth has no neighbour table: give one of a CLIM training'),
    (lambda held: held['neighbors'].update(table=None), 'other.pth has no neighbour table'),
    (lambda held: held['neighbors']['table']['version'].zero_(), 'was written before the first refresh'),
])
def test_checkpoints_without_a_usable_table_are_refused(run, tmp_path, change, complaint):
    with pytest.raises(CheckpointError, match=complaint):
        neighbors_of_checkpoint(config(run[0]), altered(run, tmp_path, change))


def test_an_unreadable_image_has_no_neighbours(run, tmp_path):
    write_images(tmp_path, N)
    broken = sorted(tmp_path.rglob('*.png'))[5]
    broken.write_bytes(b'')
    seen = neighbors_of_checkpoint(config(tmp_path), str(run[1]))
    assert np.isnan(seen.found.features[5]).all() and np.isfinite(np.delete(seen.found.features, 5, axis=0)).all()
    assert seen.found.assignments[5] == -1 and (seen.found.neighbors[5] == -1).all()
    assert 5 not in seen.found.neighbors
