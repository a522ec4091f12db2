"""Real Runners that stand before their first epoch, and all that must not change in them."""

import copy
import random
from contextlib import suppress

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from training_runs import runner_of

from clim_mm.hooks.center_wise_neighbor_hook import CenterWiseNeighborHook


class Ready(Exception):
    """The first epoch would begin now."""


class Stop(Hook):
    """Ends the training there."""

    priority = 'LOW'

    def before_train(self, runner):  # noqa: D102
        raise Ready


def prepared(folder, work_dir, **kwargs):
    """A Runner of ``training_runs`` that has done all but train."""
    runner = runner_of(folder, work_dir, more_hooks=[*kwargs.pop('more_hooks', ()), Stop()], **kwargs)
    with suppress(Ready):
        runner.train()
    return runner


def neighbor_hook_of(runner):
    return next((hook for hook in runner.hooks if isinstance(hook, CenterWiseNeighborHook)), None)


def trained_a_little(runner, steps=2):
    """The same Runner after some steps: a queue with keys, an optimizer with a state, statistics that have moved."""
    loader = runner.train_dataloader
    for _ in range(steps):
        batch = loader.collate_fn([loader.dataset[i] for i in range(loader.batch_size)])
        runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
    return runner


def everything(runner):
    """Copies of all that a preflight finds in a Runner and in the process."""
    module = runner.model.module if is_model_wrapper(runner.model) else runner.model
    loader = runner.train_dataloader
    dataset = loader.dataset
    state = dict(
        model=module.state_dict(),
        gradients={name: parameter.grad for name, parameter in module.named_parameters()},
        modes=[part.training for part in module.modules()],
        optimizer=runner.optim_wrapper.optimizer.state_dict(),
        counts=runner.optim_wrapper.inner_count,
        python=random.getstate(),
        numpy=np.random.get_state(),
        torch=torch.get_rng_state(),
        iterator=loader._iterator,
        sampler=(loader.sampler.seed, loader.sampler.epoch),
        scalars=sorted(runner.message_hub.log_scalars),
        threads=torch.get_num_threads(),
        position=(runner.epoch, runner.iter))
    if hasattr(dataset, 'table'):
        state['table'] = dataset.table.state_dict()
    if hasattr(dataset, 'quarantine'):
        state['quarantine'] = (dataset.quarantine.readable, dataset.quarantine.state_dict())
    return copy.deepcopy(state)


def assert_same(before, after, path='state'):
    """Bit for bit, whatever is inside what."""
    if torch.is_tensor(before) or isinstance(before, np.ndarray):
        assert torch.equal(torch.as_tensor(before), torch.as_tensor(after)), path
    elif isinstance(before, dict):
        assert before.keys() == after.keys(), path
        for key in before:
            assert_same(before[key], after[key], f'{path}.{key}')
    elif isinstance(before, (list, tuple)):
        assert len(before) == len(after), path
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            assert_same(one, other, f'{path}[{i}]')
    else:
        assert before == after, path
