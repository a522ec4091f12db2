"""A training whose loss becomes infinite or no number stops, and leaves the checkpoint before it."""

import pytest
import torch
from exact_runs import exact_model_cfg, loader_cfg, queue_runner
from mmengine.hooks import Hook
from training_runs import hook_cfg, pairs_cfg

from clim_mm.errors import TrainingError

pytestmark = pytest.mark.usefixtures('one_torch_thread')

BROKEN, EPOCH = 5, 2


def break_one_sample(packed):
    """The pipeline's end: a sample's positive key has a pixel that is no number, once the second table is there."""
    packed['inputs'] = {name: [x.float() for x in views] for name, views in packed['inputs'].items()}
    data_sample = packed['data_samples']
    if data_sample.sample_idx.value == BROKEN and data_sample.table_version == EPOCH:
        packed['inputs']['positive_key'][0][0, 3, 3] = float('nan')
    return packed


class BeforeEachBatch(Hook):
    """Notes the queue, and which samples come."""

    priority = 'VERY_LOW'

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        self.epoch = runner.epoch
        self.ids = [int(sample.sample_idx.value) for sample in data_batch['data_samples']]
        self.queue = {name: value.clone() for name, value in runner.model.state_dict().items() if 'queue' in name}
        self.weights = runner.model.backbone.conv1.weight.detach().clone()


@pytest.mark.parametrize('counts', [1, 3])
def test_a_broken_sample_stops_the_run_before_anything_is_kept(folder, tmp_path, counts):
    dataset = pairs_cfg(folder)
    dataset['pipeline'][-1] = break_one_sample
    seen = BeforeEachBatch()
    runner = queue_runner(
        folder, tmp_path, 4, 8, counts, hook=hook_cfg(interval=1), more_hooks=[seen], checkpoints=True,
        train_dataloader=loader_cfg(dataset), model=dict(exact_model_cfg(), data_preprocessor=None))
    with pytest.raises(TrainingError, match='The loss is not finite'):
        runner.train()
    assert seen.epoch == EPOCH - 1 and BROKEN in seen.ids
    state = runner.model.state_dict()
    assert set(seen.queue) == {'queue.keys', 'queue.ids', 'queue.pointer'}
    for name, value in seen.queue.items():
        assert torch.equal(state[name], value)
    assert torch.equal(state['backbone.conv1.weight'], seen.weights)
    assert not any(torch.isnan(value).any() for value in state.values() if value.is_floating_point())

    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    saved = torch.load(tmp_path / 'epoch_1.pth', map_location='cpu', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in saved.values())
    assert saved['queue.pointer'] == 0 and (saved['queue.ids'] >= 0).all(), 'the 24 keys of the first epoch'
