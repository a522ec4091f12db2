"""The hook: when a training is looked over, what is logged, and that the training does not notice."""

import logging

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from training_runs import runner_of

from clim_mm.errors import ConfigError
from clim_mm.hooks.center_wise_neighbor_hook import CenterWiseNeighborHook
from clim_mm.hooks.preflight_hook import PreflightHook

pytestmark = pytest.mark.usefixtures('one_torch_thread')


RULE = Config(dict(auto_scale_lr=dict(base_batch_size=512, base_lr=0.06)))


class Record(logging.Handler):
    """Keeps what a logger says."""

    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):  # noqa: D102
        self.said.append((record.levelname, record.getMessage()))

    def about(self, *starts):  # noqa: D102
        return [(level, message) for level, message in self.said if message.startswith(starts)]


class Losses(Hook):
    """Notes what every step gave."""

    def __init__(self):
        self.values = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        self.values.append({name: float(value) for name, value in outputs.items()})


def trained(folder, work_dir, preflight, **kwargs):
    """A training, its losses, and what it logged."""
    losses, record = Losses(), Record()
    hooks = [losses, *([] if preflight is None else [preflight])]
    runner = runner_of(folder, work_dir, more_hooks=hooks, num_workers=0, **dict(dict(log_level='INFO'), **kwargs))
    runner.logger.addHandler(record)
    runner.train()
    return runner, losses.values, record


@pytest.mark.e2e
def test_the_training_does_not_notice(folder, tmp_path):
    """Global generators matter here: without EpochRandomnessHook nothing seeds them anew."""
    hooks = dict(checkpoint=None)
    plain, losses, _ = trained(folder, tmp_path / 'plain', None, epochs=2, default_hooks=hooks)
    watched, watched_losses, record = trained(
        folder, tmp_path / 'watched', PreflightHook(seconds=1.0), epochs=2, default_hooks=hooks)
    assert record.about('Preflight of')
    assert losses == watched_losses and len(losses) == 6
    state, watched_state = plain.model.state_dict(), watched.model.state_dict()
    assert state.keys() == watched_state.keys()
    for name, value in state.items():
        assert torch.equal(value, watched_state[name]), name
    tables = [runner.train_dataloader.dataset.table.positives for runner in (plain, watched)]
    assert (tables[0] == tables[1]).all()


def test_what_is_logged(folder, tmp_path):
    hook = PreflightHook(seconds=5, num_images=7)
    _, _, record = trained(folder, tmp_path, hook, cfg=RULE)
    (level, table), = record.about('Preflight of')
    assert level == 'INFO' and '7 samples made: no unreadable' in table and 'm = 4 clusters, k = 6 neighbours' in table
    (level, verdict), = record.about('Looks wrong:')
    assert level == 'WARNING' and 'learning rate 0.5 is' in ' '.join(verdict.split())
    assert hook.plan.table() == table and hook.plan.verdict() == verdict


def test_it_comes_after_the_hooks_that_choose_sizes(folder, tmp_path):
    runner = runner_of(folder, tmp_path, more_hooks=[PreflightHook()], num_workers=0)
    order = [type(hook) for hook in runner.hooks]
    assert order.index(PreflightHook) > order.index(CenterWiseNeighborHook)


def tensor_bytes(value):
    """Of all tensors in a checkpoint."""
    if torch.is_tensor(value):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(tensor_bytes, value.values()))
    return sum(map(tensor_bytes, value)) if isinstance(value, (list, tuple)) else 0


@pytest.mark.e2e
def test_the_size_of_a_checkpoint_is_what_was_planned(folder, tmp_path):
    hook = PreflightHook(seconds=0.5)
    trained(folder, tmp_path, hook, epochs=1, checkpoints=True)
    saved = torch.load(tmp_path / 'epoch_1.pth', map_location='cpu', weights_only=False)
    planned = hook.plan.facts.forecast.checkpoint_bytes
    assert tensor_bytes(saved['neighbors']) == 24 * 3 * 4 + 8 + 4 * 16 * 4  # table, version, centres
    # Means and deviations of pixels are the model's and not saved; less than any part of the table and the centres.
    assert abs(planned - tensor_bytes(saved)) < 100


@pytest.mark.e2e
def test_a_resumed_training_plans_what_is_left(folder, tmp_path):
    trained(folder, tmp_path, None, epochs=1, checkpoints=True)
    hook = PreflightHook(seconds=0.5)
    trained(folder, tmp_path, hook, epochs=3, checkpoints=True, resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
    settings = hook.plan.facts.settings
    assert (settings.start_epoch, settings.max_epochs, settings.refresh.num_refreshes) == (1, 3, 1)


@pytest.mark.parametrize('hook, overrides', [
    (PreflightHook(seconds=0), {}),
    (PreflightHook(), dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2), custom_hooks=[], default_hooks=dict(checkpoint=None))),
])
def test_no_preflight(folder, tmp_path, hook, overrides):
    runner = runner_of(folder, tmp_path, num_workers=0, **overrides)
    runner.register_hook(hook)
    record = Record()
    runner.logger.addHandler(record)
    runner.logger.setLevel('INFO')
    runner.train()
    assert hook.plan is None and not record.about('Preflight of', 'Looks wrong', 'Nothing looks')
    assert bool(record.about('No preflight: it plans trainings by epochs')) == bool(overrides)


def test_a_training_that_is_over_needs_no_plan(folder, tmp_path):
    trained(folder, tmp_path, None, epochs=1, checkpoints=True)
    hook = PreflightHook()
    trained(folder, tmp_path, hook, epochs=1, checkpoints=True, resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
    assert hook.plan is None


@pytest.mark.parametrize('options, words', [
    (dict(num_images=0), 'num_images of PreflightHook .* at least 1, not 0'),
    (dict(num_images=6.5), 'num_images .* a whole number .* not 6.5'),
    (dict(seconds=-1), 'seconds of PreflightHook .* at least 0, not -1'),
    (dict(seconds=float('nan')), 'seconds .* not nan'),
    (dict(processes=0), 'processes of PreflightHook .* at least 1 or None, not 0'),
])
def test_options_out_of_range(options, words):
    with pytest.raises(ConfigError, match=words):
        PreflightHook(**options)


def test_it_is_registered(folder, tmp_path):
    runner = runner_of(folder, tmp_path, custom_hooks=[dict(type='PreflightHook', seconds=0.01)])
    runner.train()
    hook = next(hook for hook in runner.hooks if isinstance(hook, PreflightHook))
    assert hook.plan.facts.settings.num_images == 24
