"""The baseline: MMSelfSup's MoCo step by step, and a queue of any length."""

import pytest
import torch
from mmselfsup.models.algorithms import MoCo as HostMoCo
from tiny_clim import MOCO_HEAD, build, images

from clim_mm.errors import ConfigError
from clim_mm.models import MoCo
from clim_mm.protocols import HasQueues, KeepsQueues

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def steps(model, number):
    """Losses of ``number`` batches of eight, each followed by a step of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for seed in range(number):
        loss = model.loss(images(2, seed=seed), [])['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_it_trains_as_mmselfsups():
    ours, theirs = build(MoCo, MOCO_HEAD), build(HostMoCo, MOCO_HEAD)
    torch.manual_seed(1)
    losses = steps(ours, 4)
    torch.manual_seed(1)
    assert losses == steps(theirs, 4)
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in ours.state_dict().items())


def test_a_queue_that_the_keys_of_a_step_do_not_divide():
    model = build(MoCo, MOCO_HEAD, queue_len=20)
    keys = torch.arange(3 * 8.0).repeat(16, 1).T  # 24 keys of 16 dimensions
    for batch in keys.split(8):
        model._dequeue_and_enqueue(batch)
    assert model.queue[0].tolist() == [20, 21, 22, 23, *range(4, 20)] and int(model.queue_ptr) == 4
    with pytest.raises(ConfigError, match='model.queue_len=20 is too short for the 24 keys of one step: set'):
        model._dequeue_and_enqueue(keys)


def test_it_keeps_a_queue_that_no_hook_advances():
    model = build(MoCo, MOCO_HEAD)
    assert isinstance(model, KeepsQueues) and not isinstance(model, HasQueues)
    assert [queue.keys.shape for queue in model.queues.values()] == [(16, 24)]
