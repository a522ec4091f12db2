"""What the hook chooses from the set's size, and what it refuses."""

import numpy as np
import pytest
import torch
from exact_runs import as_launched, loader_cfg, queue_runner
from gloo import on_processes
from mmengine import dist
from torch.utils.data import Dataset
from training_runs import hook_cfg, model_cfg, runner_of

from clim_mm.errors import ConfigError
from clim_mm.hooks.queue_hook import QueueHook
from clim_mm.models.parts.key_queue import NO_ID, NO_KEY

pytestmark = pytest.mark.usefixtures('one_torch_thread')


class Numbers(Dataset):
    """A dataset of a given size."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, i):
        return i


def built(work_dir, size, batch_size=8, accumulative_counts=1, log_level='ERROR', seed=7, **kwargs):
    """A runner on a set of that size."""
    runner = queue_runner(
        None, work_dir, 1, batch_size, accumulative_counts, model=model_cfg(**kwargs), log_level=log_level,
        randomness=dict(seed=seed), train_dataloader=loader_cfg(dict(type=Numbers, size=size), batch_size))
    assert runner.train_loop.dataloader is runner.train_dataloader, 'the loop builds the loader'
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)  # as Runner.train does
    return runner


def prepared(*args, **kwargs):
    """A runner of which the hook has seen the start."""
    runner = built(*args, **kwargs)
    QueueHook().before_train(runner)
    return runner


@pytest.mark.parametrize('size, batch_size, counts, expected', [
    (1_281_167, 32, 1, 65_536),
    (524_288, 32, 1, 65_536),
    (524_280, 32, 1, 65_535),
    (4000, 8, 1, 500),
    (4007, 8, 4, 500),
    (1000, 64, 1, 125),
    (1000, 64, 2, 128),  # not below the keys of one step
    (24, 8, 1, 8),
    (24, 8, 3, 24),
])
def test_the_queues_length_is_derived_from_the_set(tmp_path, size, batch_size, counts, expected):
    model = prepared(tmp_path, size, batch_size, counts, queue_len=None).model
    assert len(model.queue) == expected and model.queue.keys.shape == (16, expected)
    torch.testing.assert_close(model.queue.keys.norm(dim=0), torch.ones(expected), rtol=1e-5, atol=1e-5)
    assert model.queue.ids.shape == (expected, ) and (model.queue.ids < 0).all()
    assert model.advance_after_loss is False


def test_a_given_length_is_taken(tmp_path):
    model = prepared(tmp_path, 4000, queue_len=100).model
    assert len(model.queue) == 100 and model.queue.keys.shape == (16, 100)


@pytest.mark.parametrize('size, given, expected', [
    (524_287, None, True),
    (524_288, None, False),
    (24, None, True),
    (24, False, False),
    (1_281_167, True, True),
])
def test_own_keys_are_masked_on_small_sets(tmp_path, size, given, expected):
    assert prepared(tmp_path, size, mask_own_keys=given).model.mask_own_keys is expected


@pytest.mark.parametrize('options, line', [
    (dict(queue_len=None), 'Queue of 500 keys (from the number of images), 24 new ones each step; own keys from '
     'earlier epochs are left out.'),
    (dict(queue_len=100, mask_own_keys=False), 'Queue of 100 keys, 24 new ones each step; own keys from '
     'earlier epochs count.'),
])
def test_what_was_chosen_is_printed(tmp_path, options, line):
    runner = prepared(tmp_path, 4000, accumulative_counts=3, log_level='INFO', **options)
    text = next((tmp_path / runner.timestamp).glob('*.log')).read_text()
    assert text.count('Queue of') == 1 and line in text


@pytest.mark.parametrize('counts, keys', [(1, 8), (3, 24)])
def test_a_queue_shorter_than_a_step_is_refused_at_the_start(tmp_path, counts, keys):
    with pytest.raises(ConfigError, match=rf'model.queue_len={keys - 1} is too short for the {keys} keys of one '
                       rf'optimizer step: set it to at least {keys}, or lower the batch size.$'):
        prepared(tmp_path, 4000, accumulative_counts=counts, queue_len=keys - 1)
    assert len(prepared(tmp_path, 4000, accumulative_counts=counts, queue_len=keys).model.queue) == keys


def test_a_step_has_twice_as_many_keys_with_the_positives(tmp_path):
    options = dict(accumulative_counts=3, enqueue_positives=True)
    with pytest.raises(ConfigError, match='model.queue_len=47 is too short for the 48 keys of one optimizer step'):
        prepared(tmp_path, 4000, queue_len=47, **options)
    assert len(prepared(tmp_path, 4000, queue_len=48, **options).model.queue) == 48
    assert len(prepared(tmp_path, 24, queue_len=None, **options).model.queue) == 48


def test_another_model_is_refused(folder, tmp_path):
    head = dict(type='mmselfsup.ContrastiveHead', loss=dict(type='mmcls.CrossEntropyLoss'), temperature=0.2)
    runner = queue_runner(folder, tmp_path, hook=dict(type='EpochRandomnessHook'),
                          model=model_cfg(type='mmselfsup.MoCo', head=head))
    with pytest.raises(ConfigError, match='QueueHook needs queues of keys, as CLIM has, and MoCo has none'):
        runner.train()


def test_without_the_hook_a_queue_without_a_length_is_refused(folder, tmp_path):
    runner = runner_of(folder, tmp_path, hook=hook_cfg(begin=5), model=model_cfg(queue_len=None), num_workers=0)
    with pytest.raises(ConfigError, match='model.queue_len=0 is too short for the 8 keys'):
        runner.train()


def test_the_derived_queue_depends_on_the_seed_alone(tmp_path):
    def vectors(seed, noise):
        runner = built(tmp_path, 800, queue_len=None, seed=seed)
        torch.manual_seed(noise)
        QueueHook().before_train(runner)
        return runner.model.queue.keys

    torch.testing.assert_close(vectors(3, 0), vectors(3, 1), rtol=0, atol=0)
    assert (vectors(3, 0) - vectors(4, 0)).abs().max() > 0.1


def queues_on_this_process(folder, work_dir):
    """The queue at the start, and after an epoch; each process has drawn other numbers by then."""
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9), accumulative_counts=1)
    runner = queue_runner(
        folder, work_dir, 1, 4, hook=hook_cfg(begin=5), **as_launched(optim_wrapper, model=model_cfg(queue_len=None)))
    assert runner.train_loop.dataloader is runner.train_dataloader, 'the loop builds the loader'
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)  # as Runner.train does
    torch.manual_seed(dist.get_rank())
    QueueHook().before_train(runner)
    model = runner.model.module
    start = model.queue.keys.clone()
    runner.train()
    return len(model.queue), start.numpy(), model.queue.keys.numpy(), model.queue.ids.tolist()


@pytest.mark.e2e
def test_two_processes_have_the_same_queue(folder, tmp_path):
    first, second = on_processes(2, queues_on_this_process, folder, tmp_path)
    assert first[0] == second[0] == 8 and first[1].shape == (16, 8)
    for mine, other in zip(first[1:3], second[1:3], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert first[3] == second[3] and len(set(first[3])) == 8 and min(first[3]) >= 0
    assert np.abs(first[1] - first[2]).max() > 0.1


def test_a_resumed_run_takes_the_checkpoints_queue(folder, tmp_path):
    options = dict(model=model_cfg(queue_len=None), hook=hook_cfg(begin=5))
    first = queue_runner(folder, tmp_path, 1, checkpoints=True, **options)
    first.train()
    assert len(first.model.queue) == 8
    path = str(tmp_path / 'epoch_1.pth')
    # Another batch size would have given another length.
    resumed = queue_runner(folder, tmp_path, 1, batch_size=4, load_from=path, resume=True, **options)
    resumed.train()  # no epoch is left
    for name in ('queue.keys', 'queue.ids', 'queue.pointer'):
        assert torch.equal(resumed.model.state_dict()[name], first.model.state_dict()[name])
    longer = queue_runner(folder, tmp_path, 2, batch_size=12, load_from=path, resume=True, **options)
    with pytest.raises(ConfigError, match='model.queue_len=8 is too short for the 12 keys of one optimizer step'):
        longer.train()


def test_a_loop_by_iterations_is_refused(tmp_path):
    runner = queue_runner(
        None, tmp_path, 1, 8, model=model_cfg(), train_cfg=dict(by_epoch=False, max_iters=4),
        train_dataloader=loader_cfg(dict(type=Numbers, size=40), 8))
    with pytest.raises(ConfigError, match='QueueHook acts between epochs'):
        QueueHook().before_train(runner)


def test_keys_of_another_training_set_have_no_ids(tmp_path):
    runner = built(tmp_path, 4000, queue_len=24)
    runner.model.queue.ids.copy_(torch.arange(24) - 2)
    QueueHook().before_train(runner)
    assert runner.model.queue.ids.tolist() == [NO_ID, NO_KEY, *[NO_ID] * 22]
