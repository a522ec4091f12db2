"""Steps on a copy: as in training, and without a trace."""

import random

import numpy as np
import pytest
import torch
from prepared_runs import assert_same, everything, prepared, trained_a_little
from training_runs import BATCH

from clim_mm.preflight.rehearsal import Rehearsal, untouched_randomness

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def batch_of(runner):
    loader = runner.train_dataloader
    return loader.collate_fn([loader.dataset[i] for i in range(BATCH)])


@pytest.fixture
def runner(folder, tmp_path):
    return trained_a_little(prepared(folder, tmp_path, num_workers=0))


def test_the_original_stays_as_it_was(runner):
    batch, before = batch_of(runner), everything(runner)
    with untouched_randomness(torch.device('cpu')):
        rehearsal = Rehearsal(runner)
        for _ in range(3):
            rehearsal.step(batch)
    assert_same(before, everything(runner))


def test_the_copy_really_trains(runner):
    rehearsal = Rehearsal(runner)
    start = rehearsal.model.queue.pointer.clone()
    rehearsal.step(batch_of(runner))
    statistics = dict(rehearsal.model.backbone.named_buffers())
    moved = [name for name, value in runner.model.backbone.named_buffers() if not torch.equal(value, statistics[name])]
    assert any('running_mean' in name for name in moved) and any('running_var' in name for name in moved)
    assert int(rehearsal.model.queue.pointer - start) % 24 == BATCH, 'its keys enter its queue'
    # At a learning rate of 0 no weight moves, whatever the gradients.
    for name, parameter in runner.model.named_parameters():
        if not name.startswith('encoder_k'):
            assert torch.equal(parameter, rehearsal.model.get_parameter(name)), name


def test_no_learning_rate_can_break_it(runner):
    for group in runner.optim_wrapper.param_groups:
        group['lr'] = 1e30
    rehearsal = Rehearsal(runner)
    batch = batch_of(runner)
    for _ in range(3):
        rehearsal.step(batch)  # would raise on a loss that is not finite
    assert [group['lr'] for group in runner.optim_wrapper.param_groups] == [1e30]


def test_the_optimizers_state_is_counted(folder, tmp_path):
    runner = prepared(folder, tmp_path, num_workers=0)
    assert not runner.optim_wrapper.optimizer.state
    rehearsal = Rehearsal(runner)
    assert rehearsal.optimizer_bytes() == 0
    rehearsal.step(batch_of(runner))
    trainable = sum(parameter.numel() for parameter in runner.model.parameters() if parameter.requires_grad)
    assert rehearsal.optimizer_bytes() == 4 * trainable, 'the momentum of SGD'
    assert not runner.optim_wrapper.optimizer.state


def test_a_compiled_step_is_not_the_originals(runner):
    calls = []
    original = runner.model.train_step
    runner.model.train_step = lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs)
    Rehearsal(runner).step(batch_of(runner))
    assert calls == []


def test_precision_is_the_originals(runner):
    """The original's autocast reigns in the copy's forward pass."""
    seen = []

    class InHalf(type(runner.optim_wrapper)):
        def optim_context(self, model):
            return torch.autocast('cpu', dtype=torch.bfloat16)

    runner.optim_wrapper.__class__ = InHalf
    rehearsal = Rehearsal(runner)
    rehearsal.model.backbone.conv1.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    rehearsal.step(batch_of(runner))
    assert seen and set(seen) == {torch.bfloat16}


def test_randomness_comes_back_also_after_an_error():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    with pytest.raises(KeyError), untouched_randomness(torch.device('cpu')):
        random.random()
        np.random.rand()
        torch.rand(1)
        raise KeyError
    assert_same(states, (random.getstate(), np.random.get_state(), torch.get_rng_state()))
