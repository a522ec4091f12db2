"""The hook in real training runs: when it refreshes, from what, and what it says."""

import json
import os

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from training_runs import (
    BATCH,
    CHANNELS,
    STEPS,
    LastMode,
    N,
    Witness,
    features_by_hand,
    hook_cfg,
    lines_of,
    pairs_cfg,
    purity_by_hand,
    table_by_hand,
    train,
)

from clim_mm.datasets import labels_of
from clim_mm.neighbors import cluster
from clim_mm.neighbors.confidence import left_to_the_surest
from clim_mm.neighbors.refresh import refresh_seed
from clim_mm.neighbors.whitening import whitened

pytestmark = pytest.mark.usefixtures('one_torch_thread')


@pytest.mark.parametrize('begin, interval, epochs, refreshes', [
    (0, 1, 3, [0, 1, 2]),
    (0, 2, 5, [0, 2, 4]),
    (1, 2, 5, [1, 3]),
    (2, 5, 3, [2]),
    (3, 1, 2, []),
])
def test_refreshes_when_it_is_time(folder, tmp_path, begin, interval, epochs, refreshes):
    witness, runner = train(folder, tmp_path, epochs, hook_cfg(begin=begin, interval=interval))
    done = [sum(refresh <= epoch for refresh in refreshes) for epoch in range(epochs)]
    assert witness.versions() == {epoch: {version} for epoch, version in enumerate(done)}
    assert runner.train_dataloader.dataset.table.version == len(refreshes)

    for epoch, i, positive, version, _ in witness.samples:
        row = set(witness.tables[epoch][i].tolist()) - {-1}
        assert positive in row if version and row else positive == -1
    for epoch in range(epochs):
        assert sorted(i for e, i, *_ in witness.samples if e == epoch) == list(range(N))

    if refreshes:
        lines = lines_of(tmp_path)
        assert [(line['epoch'], line['version']) for line in lines] == [(e, v + 1) for v, e in enumerate(refreshes)]
        assert {line['run'] for line in lines} == {runner.timestamp}
    else:
        assert not (tmp_path / 'neighbors.jsonl').exists()


@pytest.mark.e2e
def test_the_workers_of_the_first_epoch_see_each_table(folder, tmp_path):
    witness, _ = train(folder, tmp_path, 5, num_workers=2)
    pids = {pid for *_, pid in witness.samples}
    assert len(pids) == 2 and os.getpid() not in pids, 'the same two workers from the first epoch to the last'
    assert witness.versions() == {0: {1}, 1: {1}, 2: {2}, 3: {2}, 4: {3}}
    for epoch, i, positive, _, _ in witness.samples:
        row = set(witness.tables[epoch][i].tolist()) - {-1}
        assert positive in row if row else positive == -1
    for epoch in range(5):
        assert sorted(i for e, i, *_ in witness.samples if e == epoch) == list(range(N))


def test_purity_is_that_of_the_table_and_goes_to_every_log(folder, tmp_path):
    hook = hook_cfg(compare=('knn', 'center_wise', 'random'))
    witness, runner = train(folder, tmp_path, 3, hook)
    labels = labels_of(runner.train_dataloader.dataset.dataset)
    assert labels.tolist() == sorted(i % 4 for i in range(N))
    lines = lines_of(tmp_path)
    scalars = [json.loads(line) for line in
               (tmp_path / runner.timestamp / 'vis_data' / 'scalars.json').read_text().splitlines()]
    scalars = [line for line in scalars if 'neighbors/purity_knn' in line]
    assert len(lines) == len(scalars) == 2
    for line, shown, epoch in zip(lines, scalars, (0, 2), strict=True):
        features = features_by_hand(folder, witness.encoders[epoch]['momentum'])
        assert line['purity_center_wise'] == pytest.approx(purity_by_hand(witness.tables[epoch], labels), abs=1e-12)
        for rival in ('knn', 'random'):
            expected = purity_by_hand(table_by_hand(features, epoch, rival), labels)
            assert line[f'purity_{rival}'] == pytest.approx(expected, abs=1e-12)
        assert line['share_without_positive'] == (witness.tables[epoch] < 0).all(axis=1).mean()
        assert all(line[f'seconds_{name}'] > 0 for name in ('extract', 'cluster', 'search', 'select'))
        assert shown['step'] == witness.steps[epoch] == epoch * STEPS
        _, assignments = cluster(features, 4, seed=refresh_seed(7, epoch))
        sizes = [int((assignments == center).sum()) for center in range(4)]
        assert line['largest_cluster'] == pytest.approx(max(sizes) / N, abs=1e-12)
        assert (line['num_clusters'], line['empty_clusters']) == (4, sizes.count(0))
        verdict = ('run', 'epoch', 'version', 'state', 'reason')
        figures = {name: value for name, value in line.items() if name not in verdict}
        assert {name: shown[f'neighbors/{name}'] for name in figures} == pytest.approx(figures)
    new = [positive not in before.tolist() for before, row in zip(witness.tables[0], witness.tables[2], strict=True)
           for positive in row.tolist() if positive >= 0]
    assert 'positives_changed' not in lines[0]
    assert lines[1]['positives_changed'] == pytest.approx(sum(new) / len(new), abs=1e-12) and any(new)
    text = next((tmp_path / runner.timestamp).glob('*.log')).read_text()
    assert text.count('Neighbours refreshed at epoch') == 0, 'the log level of this run is ERROR'


def test_without_labels_there_is_no_purity(folder, tmp_path):
    dataset = dict(pairs_cfg(folder), dataset=dict(type='ImageFolder', data_root=str(folder)))
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset,
        collate_fn=dict(type='clim_mm.stack_collate'))
    train(folder, tmp_path, hook=hook_cfg(compare=('knn', )), train_dataloader=loader)
    (line, ) = lines_of(tmp_path)
    assert not [name for name in line if name.startswith('purity')]


@pytest.mark.parametrize('options, encoder, layer, dim', [
    (dict(), 'momentum', 'embedding', 16),
    (dict(encoder='query', layer='pooled'), 'query', 'pooled', CHANNELS),
    (dict(encoder='momentum', layer='pooled', strategy='knn', exact=False, nprobe=4), 'momentum', 'pooled', CHANNELS),
])
def test_the_table_comes_from_the_encoder_as_it_is_in_eval_mode(folder, tmp_path, options, encoder, layer, dim):
    witness, _ = train(folder, tmp_path, 3, hook_cfg(**options))
    strategy = options.get('strategy', 'center_wise')
    for epoch in (0, 2):
        features = features_by_hand(folder, witness.encoders[epoch][encoder], layer)
        assert features.shape == (N, dim)
        np.testing.assert_array_equal(witness.tables[epoch], table_by_hand(features, epoch, strategy))
    np.testing.assert_array_equal(witness.tables[1], witness.tables[0])
    assert not np.array_equal(witness.tables[2], witness.tables[0])
    # The other encoder would have given another table: the two are not the same after two epochs.
    rival = witness.encoders[2][dict(momentum='query', query='momentum')[encoder]]
    other = table_by_hand(features_by_hand(folder, rival, layer), 2, strategy)
    assert not np.array_equal(witness.tables[2], other)


def test_the_models_mode_is_restored_and_its_state_untouched(folder, tmp_path):
    modes = [True, False, False, True]
    after = LastMode()
    witness = Witness(modes)
    train(folder, tmp_path, 4, hook_cfg(interval=1), witness=witness, more_hooks=[after])
    assert witness.modes_after == after.modes == modes


class Unchanged(Hook):
    """Checks that a refresh leaves every parameter and buffer of the model alone."""

    priority = 'VERY_LOW'

    def __init__(self, witness):
        self.witness, self.compared = witness, 0

    def before_train_epoch(self, runner):  # noqa: D102
        for name, before in self.witness.encoders[runner.epoch].items():
            now = runner.model.encoder(name).state_dict()
            for key, value in before.state_dict().items():
                assert torch.equal(now[key], value), key
                self.compared += 1


def test_a_refresh_changes_no_parameter_and_no_batch_statistics(folder, tmp_path):
    witness = Witness()
    unchanged = Unchanged(witness)
    train(folder, tmp_path, 2, hook_cfg(interval=1), witness=witness, more_hooks=[unchanged])
    assert unchanged.compared == 2 * sum(len(encoder.state_dict()) for encoder in witness.encoders[0].values()) > 100


class AfterRefresh(Hook):
    """Keeps what it is given after each refresh."""

    def __init__(self):
        self.calls = []

    def after_neighbor_refresh(self, runner, features, found):
        """Keep it."""
        self.calls.append((runner.epoch, features, found, runner.train_dataloader.dataset.table.positives.copy()))


def test_other_hooks_are_given_each_refresh_when_it_is_published(folder, tmp_path):
    after = AfterRefresh()
    train(folder, tmp_path, 3, hook_cfg(interval=2), more_hooks=[after])
    assert [epoch for epoch, *_ in after.calls] == [0, 2]
    for _, features, found, table in after.calls:
        np.testing.assert_array_equal(found.positives, table)
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
        distances = np.linalg.norm(features[:, None] - found.centroids[None], axis=2)
        np.testing.assert_array_equal(found.assignments, distances.argmin(axis=1))
        nearest = np.linalg.norm(features[:, None] - features[None], axis=2) + 9 * np.eye(N)
        np.testing.assert_array_equal(found.neighbors[:, 0], nearest.argmin(axis=1))


def test_features_are_whitened_and_positives_left_to_the_surest(folder, tmp_path):
    after = AfterRefresh()
    train(folder, tmp_path, 1, hook_cfg(layer='pooled', whiten=0.2, surest=0.5), more_hooks=[after])
    (_, features, found, table), = after.calls
    np.testing.assert_array_equal(found.features, whitened(features, 0.2))
    np.testing.assert_array_equal(table, left_to_the_surest(table_by_hand(found.features, 0), found.features, 0.5))
    assert lines_of(tmp_path)[0]['share_unsure'] == pytest.approx(0.5, abs=1 / N)
