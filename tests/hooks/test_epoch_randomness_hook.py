"""Randomness that starts anew with each epoch: nothing of it depends on what came before."""

import random

import numpy as np
import pytest
import torch
from exact_runs import as_launched, loader_cfg
from gloo import on_processes
from mmengine.hooks import DistSamplerSeedHook, Hook
from training_runs import N, hook_cfg, pairs_cfg, runner_of

from clim_mm.hooks.training_set_hooks import EpochRandomnessHook, seed_process

pytestmark = pytest.mark.usefixtures('one_torch_thread')


class Generators(Hook):
    """Notes where the global generators stand when an epoch's first batch goes into the model, and what came."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.states, self.later, self.samples = [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        (self.later if batch_idx else self.states).append(states())
        self.samples += [(runner.epoch, int(sample.sample_idx.value), sample.positive_idx, sample.lam)
                         for sample in data_batch['data_samples']]


def states():
    name, keys, *rest = np.random.get_state()
    return random.getstate(), (name, keys.tolist(), *rest), torch.get_rng_state().tolist()


def draws():
    return random.random(), np.random.random(), torch.rand(1).item()


class Noise(Hook):
    """Draws from the global generators where others might: before an epoch, and after its first batch."""

    def before_train_epoch(self, runner):  # noqa: D102
        draws()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        draws()


def states_in_training(folder, work_dir, epochs=2, noise=(), hook=None, **loader):
    seen = Generators()
    runner = runner_of(folder, work_dir, epochs, hook=hook or hook_cfg(begin=9), more_hooks=[*noise, seen],
                       train_dataloader=loader_cfg(pairs_cfg(folder), **loader))
    runner.train()
    iterator = runner.train_dataloader._iterator
    if iterator is not None:
        iterator._shutdown_workers()
    return seen


def by_hand(seed, epoch, rank=0):
    """The generators' states, by plain calls."""
    seeds = np.random.SeedSequence([seed, epoch, rank]).generate_state(3)
    random.seed(int(seeds[0]))
    np.random.seed(seeds[1])
    torch.manual_seed(int(seeds[2]))
    return states()


@pytest.mark.parametrize('options', [
    dict(),
    dict(noise=[Noise()]),
    pytest.param(dict(num_workers=2), marks=pytest.mark.e2e),
    pytest.param(dict(num_workers=1, persistent_workers=False), marks=pytest.mark.e2e),
    dict(hook=hook_cfg(interval=1)),
], ids=['no worker', 'others draw', 'two workers', 'new workers each epoch', 'with refreshes'])
def test_the_generators_at_an_epochs_first_batch_depend_on_seed_and_epoch_alone(folder, tmp_path, options):
    seen = states_in_training(folder, tmp_path, **options)
    expected = [by_hand(7, epoch) for epoch in range(2)]
    assert seen.states == expected
    assert len(seen.later) == 4 and not any(state in expected for state in seen.later), 'once an epoch'


def test_seeds_differ_by_seed_epoch_and_rank():
    drawn = []
    for seed in (0, 1, 2**31 - 1):
        for epoch in (0, 1, 1199):
            for rank in (0, 1, 15):
                seed_process(seed, epoch, rank)
                drawn.append(draws())
    assert all(len(set(column)) == 27 for column in zip(*drawn, strict=True))
    seed_process(1, 1199, 15)
    assert draws() == drawn[17]


def training_on_this_process(folder, work_dir):
    """The generators' states in a process of several, and the samples that it got."""
    seen = Generators()
    runner = runner_of(
        folder, work_dir, 2, hook=hook_cfg(begin=9), more_hooks=[seen],
        **as_launched(dict(optimizer=dict(type='SGD', lr=0.5)), train_dataloader=loader_cfg(pairs_cfg(folder), 4)))
    runner.train()
    return seen.states, [sample[:2] for sample in seen.samples]


@pytest.mark.e2e
def test_processes_draw_for_themselves_and_share_the_samples(folder, tmp_path):
    results = on_processes(2, training_on_this_process, folder, tmp_path)
    for rank, (found, samples) in enumerate(results):
        assert found == [by_hand(7, epoch, rank) for epoch in range(2)]
        for epoch in range(2):
            order = torch.randperm(N, generator=torch.Generator().manual_seed(7 + epoch)).tolist()
            assert [i for e, i in samples if e == epoch] == order[rank::2]


def test_the_order_of_the_samples_is_the_samplers_for_seed_and_epoch(folder, tmp_path):
    seen = states_in_training(folder, tmp_path, epochs=3)
    for epoch in range(3):
        order = torch.randperm(N, generator=torch.Generator().manual_seed(7 + epoch)).tolist()
        assert [i for e, i, *_ in seen.samples if e == epoch] == order


def test_it_takes_the_place_of_the_frameworks_hook(folder, tmp_path):
    runner = runner_of(folder, tmp_path)
    assert issubclass(EpochRandomnessHook, DistSamplerSeedHook)
    assert [type(hook).__name__ for hook in runner.hooks if isinstance(hook, DistSamplerSeedHook)] == [
        'EpochRandomnessHook']


def samples_of_a_run(folder, work_dir, epochs, num_workers, resume=False):
    """Train without a seed in the config; give the seed that was drawn first and last, and what was trained on."""
    np.random.seed()  # forked processes would draw the same
    seen = Generators()
    runner = runner_of(
        folder, work_dir, epochs, more_hooks=[seen], checkpoints=True, randomness=dict(seed=None), resume=resume,
        train_dataloader=loader_cfg(pairs_cfg(folder), num_workers=num_workers))
    drawn = runner.seed
    runner.train()
    states = {name: value.numpy() for name, value in runner.model.state_dict().items()}
    return drawn, runner.seed, seen.samples, states


@pytest.mark.e2e
def test_a_run_without_a_seed_goes_on_with_the_checkpoints_in_a_new_process(folder, tmp_path):
    ((_, seed, samples, weights), ) = on_processes(1, samples_of_a_run, folder, tmp_path, 4, 1, init=False)
    assert len(samples) == 4 * N and len({sample[0] for sample in samples}) == 4
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    ((drawn, its_seed, its_samples, its_weights), ) = on_processes(
        1, samples_of_a_run, folder, tmp_path, 4, 0, True, init=False)
    assert drawn != its_seed == seed
    assert its_samples == samples[N:], 'the same samples in the same order, with the same positives and mixtures'
    assert any(positive >= 0 and lam != [1.0, 1.0] for _, _, positive, lam in its_samples)
    for name, value in weights.items():
        np.testing.assert_array_equal(its_weights[name], value)
