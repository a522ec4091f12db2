"""Gradient accumulation: the batches of an optimizer step together are one large batch."""

import pytest
import torch
from exact_runs import as_launched, exact_model_cfg, queue_runner, train_exactly
from gloo import on_processes
from mmengine.hooks import Hook
from training_runs import N, hook_cfg, model_cfg

pytestmark = pytest.mark.usefixtures('one_torch_thread')


class Steps(Hook):
    """Notes after each batch what has moved."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.epochs, self.moved, self.keys, self.weights, self.losses = [], [], [], [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        self.epochs.append(runner.epoch)
        self.moved.append(int(runner.model.encoder_k.steps))
        self.keys.append(int((runner.model.queue.ids >= 0).sum()))
        self.weights.append(runner.model.backbone.conv1.weight.detach().sum().item())
        self.losses.append(float(outputs['loss']))


# Of 24 images: (batch, batches of a step) -> images of an epoch's optimizer steps
STEPS = {
    (8, 3): [24],
    (4, 4): [16, 8],
    (3, 3): [9, 9, 6],
    (8, 7): [24],
}


def compare(state, expected):
    """Compare two models of float64."""
    assert list(state) == list(expected)
    for name, value in expected.items():
        if value.is_floating_point():
            assert value.dtype == torch.float64
            torch.testing.assert_close(state[name], value, rtol=1e-9, atol=1e-10, msg=name)
        else:
            assert torch.equal(state[name], value), name


@pytest.mark.parametrize('batch_size, counts', [(4, 4), *(
    pytest.param(*sizes, marks=pytest.mark.e2e) for sizes in STEPS if sizes != (4, 4))])
def test_accumulated_batches_equal_one_large_batch(folder, tmp_path, batch_size, counts):
    seen, seen_large = Steps(), Steps()
    hook = hook_cfg(interval=2)  # the second refresh is made by what the steps have led to
    sizes = STEPS[batch_size, counts]
    accumulated = train_exactly(
        folder, tmp_path / 'small', 3, batch_size, counts, hook=hook, more_hooks=[seen]).model.state_dict()
    large = train_exactly(
        folder, tmp_path / 'large', 3, sizes[0], hook=hook, more_hooks=[seen_large]).model.state_dict()
    compare(accumulated, large)
    assert int(accumulated['encoder_k.steps']) == len(seen_large.moved) == 3 * len(sizes)
    assert accumulated['queue.pointer'].tolist() == [3 * N % 60] and (accumulated['queue.ids'] >= 0).all()
    # The logged loss of a step is the mean of its batches'.
    parts = torch.tensor(seen.losses, dtype=torch.float64).split([size // batch_size for size in sizes] * 3)
    assert [part.mean().item() for part in parts] == pytest.approx(seen_large.losses, abs=1e-10)


def train_on_this_process(folder, work_dir):
    """Train as one of several processes: 4 images in a batch, 3 batches in a step. By name, the model's state."""
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.5, momentum=0.9), accumulative_counts=3)
    runner = train_exactly(folder, work_dir, 3, 4, model=exact_model_cfg(queue_len=None), **as_launched(optim_wrapper))
    return {name: value.numpy() for name, value in runner.model.module.state_dict().items()}


def by_id(state):
    """A model's state, the keys of its queue in the order of their images."""
    state = {name: torch.as_tensor(value) for name, value in state.items()}
    order = state['queue.ids'].argsort()
    return dict(state, **{'queue.keys': state['queue.keys'][:, order], 'queue.ids': state['queue.ids'][order]})


@pytest.mark.e2e
def test_two_processes_that_accumulate_equal_one_large_batch(folder, tmp_path):
    first, second = on_processes(2, train_on_this_process, folder, tmp_path / 'two')
    large = train_exactly(
        folder, tmp_path / 'one', 3, batch_size=24, model=exact_model_cfg(queue_len=None)).model.state_dict()
    assert large['queue.ids'].tolist() != sorted(large['queue.ids'].tolist()) == list(range(24))
    for state in (first, second):
        compare(by_id(state), by_id(large))


def test_encoder_and_queue_move_once_a_step_and_a_new_epoch_begins_a_new_step(folder, tmp_path):
    seen = Steps()
    train_exactly(folder, tmp_path, 3, 4, 4, hook=hook_cfg(begin=5), more_hooks=[seen])
    assert seen.epochs == [0] * 6 + [1] * 6 + [2] * 6
    # Steps of 4 and 2 batches. The momentum encoder moves with the first batch of a step ...
    assert seen.moved == [1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 5, 6, 6]
    # ... and the weights and the queue with the last.
    assert seen.keys == [0, 0, 0, 16, 16, 24, 24, 24, 24, 40, 40, 48, 48, 48, 48, 60, 60, 60]
    stepped = [i for i in range(1, 18) if seen.weights[i] != seen.weights[i - 1]]
    assert stepped == [3, 5, 9, 11, 15, 17]


def final_state(runner):
    return dict(
        {f'model.{name}': value for name, value in runner.model.state_dict().items()}, **{
            f'optimizer.{i}.{name}': value
            for i, state in runner.optim_wrapper.state_dict()['state'].items() for name, value in state.items()
        })


@pytest.mark.e2e
@pytest.mark.parametrize('stop', [1, 3])
def test_a_run_resumed_between_epochs_goes_on_as_if_undisturbed(folder, tmp_path, stop):
    options = dict(batch_size=8, accumulative_counts=2, model=model_cfg(queue_len=None))
    whole_steps, parts_steps = Steps(), Steps()
    whole = queue_runner(folder, tmp_path / 'whole', 4, more_hooks=[whole_steps], **options)
    whole.train()
    queue_runner(folder, tmp_path / 'parts', stop, more_hooks=[parts_steps], checkpoints=True, **options).train()
    torch.manual_seed(99)  # what came before the resumed run does not matter
    resumed = queue_runner(
        folder, tmp_path / 'parts', 4, more_hooks=[parts_steps], resume=True,
        load_from=str(tmp_path / 'parts' / f'epoch_{stop}.pth'), **options)
    resumed.train()
    expected, found = final_state(whole), final_state(resumed)
    buffers = sum(parameter.requires_grad for parameter in whole.model.parameters())  # of SGD's momentum
    assert list(found) == list(expected) and len(expected) == len(whole.model.state_dict()) + buffers
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert parts_steps.losses == whole_steps.losses and len(whole_steps.losses) == 12
    assert len(resumed.model.queue) == 16
