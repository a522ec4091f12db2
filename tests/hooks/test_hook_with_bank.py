"""Training runs whose refreshes take their features from the bank of keys."""

import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from training_runs import (
    EXTRACT_PIPELINE,
    N,
    features_by_hand,
    hook_cfg,
    lines_of,
    model_cfg,
    pairs_cfg,
    runner_of,
    table_by_hand,
    train,
)

from clim_mm.errors import CheckpointError

pytestmark = pytest.mark.usefixtures('one_torch_thread')


class Count:
    """Notes which images the extraction reads."""

    def __init__(self):
        self.ids = []

    def __call__(self, results):  # noqa: D102
        self.ids.append(results['sample_idx'])
        return results


class Queues(Hook):
    """Notes the queue before each refresh, and the features of each refresh."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.keys, self.ids, self.features = {}, {}, {}

    def before_train_epoch(self, runner):  # noqa: D102
        self.keys[runner.epoch] = runner.model.queue.keys.T.clone().numpy()
        self.ids[runner.epoch] = runner.model.queue.ids.tolist()

    def after_neighbor_refresh(self, runner, features, found):
        """Keep them."""
        self.features[runner.epoch] = features.copy()


def run(folder, work_dir, epochs, count=None, batch_size=8, options=None, **kwargs):
    """Train with a bank of the last keys; the queue is as long as an epoch has keys."""
    pipeline = [*EXTRACT_PIPELINE[:1], *([] if count is None else [count]), *EXTRACT_PIPELINE[1:]]
    options = dict(dict(bank_average=1, interval=2, begin=0), **(options or {}))
    hook = hook_cfg(
        feature_source='bank', extract=dict(pipeline=pipeline, batch_size=10, num_workers=0), **options)
    queues = Queues()
    make = kwargs.pop('make', train)
    loader = dict(
        batch_size=batch_size, num_workers=0, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=pairs_cfg(folder), collate_fn=dict(type='clim_mm.stack_collate'))
    model = model_cfg(queue_len=N // batch_size * batch_size)
    return queues, make(
        folder, work_dir, epochs, hook, more_hooks=[queues], train_dataloader=loader, model=model, **kwargs)


def test_a_refresh_takes_the_keys_of_the_training_and_extracts_nothing(folder, tmp_path):
    count = Count()
    queues, (witness, _) = run(folder, tmp_path, 3, count)
    assert count.ids == list(range(N)), 'once each, at the first refresh'
    first = features_by_hand(folder, witness.encoders[0]['momentum'])
    np.testing.assert_array_equal(witness.tables[0], table_by_hand(first, 0))

    assert sorted(queues.ids[2]) == list(range(N)), 'the queue holds each image\'s last key'
    keys = queues.keys[2][np.argsort(queues.ids[2])]
    np.testing.assert_array_equal(queues.features[2], keys)
    np.testing.assert_array_equal(witness.tables[2], table_by_hand(keys, 2))
    extracted = table_by_hand(features_by_hand(folder, witness.encoders[2]['momentum']), 2)
    assert not np.array_equal(witness.tables[2], extracted), 'an extraction would have told itself from the keys'

    lines = lines_of(tmp_path)
    assert [(line['epoch'], line['bank_never_seen'], line['bank_age']) for line in lines][1] == (2, 0, 1)
    assert lines[0]['bank_never_seen'] == 1 and np.isnan(lines[0]['bank_age'] or np.nan)
    assert lines[0]['seconds_extract'] > 0 and lines[1]['seconds_bank'] > 0


def test_images_that_the_epoch_left_out_are_extracted_alone(folder, tmp_path):
    count = Count()
    queues, (witness, _) = run(folder, tmp_path, 2, count, batch_size=10, options=dict(interval=1))
    trained = queues.ids[1]
    left_out = sorted(set(range(N)) - set(trained))
    assert len(trained) == 20 and count.ids == [*range(N), *left_out]
    features = queues.features[1]
    np.testing.assert_array_equal(features[trained], queues.keys[1])
    by_hand = features_by_hand(folder, witness.encoders[1]['momentum'])
    np.testing.assert_allclose(features[left_out], by_hand[left_out], rtol=1e-4, atol=1e-5)
    assert (lines_of(tmp_path)[1]['bank_never_seen'], lines_of(tmp_path)[1]['bank_age']) == (4 / N, 1)


def test_the_features_are_means_of_the_last_keys(folder, tmp_path):
    queues, _ = run(folder, tmp_path, 3, options=dict(bank_average=10))
    one, two = (queues.keys[epoch][np.argsort(queues.ids[epoch])] for epoch in (1, 2))
    mean = (one + two) / 2
    np.testing.assert_allclose(
        queues.features[2], mean / np.linalg.norm(mean, axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_before_the_first_refresh_keys_are_kept_too(folder, tmp_path):
    count = Count()
    queues, _ = run(folder, tmp_path, 2, count, options=dict(begin=1))
    assert count.ids == [] and list(queues.features) == [1]


@pytest.mark.e2e
def test_a_run_that_goes_on_from_a_checkpoint_is_the_undisturbed_one(folder, tmp_path):
    _, (undisturbed, whole) = run(folder, tmp_path / 'whole', 4)
    run(folder, tmp_path / 'parts', 2, checkpoints=True)
    checkpoint = torch.load(tmp_path / 'parts' / 'epoch_2.pth', map_location='cpu', weights_only=False)
    header = json.loads((tmp_path / 'parts' / 'key_bank' / 'bank.json').read_text())
    assert checkpoint['neighbors']['bank'] == header['identity']
    count = Count()
    queues, (resumed, runner) = run(
        folder, tmp_path / 'parts', 4, count, resume=True, load_from=str(tmp_path / 'parts' / 'epoch_2.pth'))
    assert count.ids == [] and list(queues.features) == [2]
    for epoch in (2, 3):
        np.testing.assert_array_equal(resumed.tables[epoch], undisturbed.tables[epoch])
    for name, value in whole.model.state_dict().items():
        assert torch.equal(runner.model.state_dict()[name], value), name


def test_a_checkpoint_without_its_bank_has_all_extracted(folder, tmp_path):
    run(folder, tmp_path, 2, checkpoints=True)
    shutil.rmtree(tmp_path / 'key_bank')
    count = Count()
    run(folder, tmp_path, 3, count, resume=True, load_from=str(tmp_path / 'epoch_2.pth'))
    assert count.ids == list(range(N))


def test_a_bank_that_is_cut_off_is_refused_before_any_extraction(folder, tmp_path):
    run(folder, tmp_path, 2, checkpoints=True)
    (tmp_path / 'key_bank' / 'keys.f32').write_bytes(b'123')
    count = Count()
    _, runner = run(
        folder, tmp_path, 3, count, make=runner_of, resume=True, load_from=str(tmp_path / 'epoch_2.pth'))
    with pytest.raises(CheckpointError, match='keys.f32 has 3 bytes instead of 1536.*: delete that folder'):
        runner.train()
    assert count.ids == []


def test_weights_alone_bring_no_bank(folder, tmp_path):
    run(folder, tmp_path, 1, checkpoints=True)
    count = Count()
    run(folder, tmp_path, 1, count, load_from=str(tmp_path / 'epoch_1.pth'))
    assert count.ids == list(range(N))
