"""The momentum encoder against MMEngine's, bit for bit, and by hand."""

import copy

import pytest
import torch
import torch.nn as nn
from mmengine.model import ExponentialMovingAverage

from clim_mm.models.parts.encoder import MomentumEncoder


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


def trained(model, step):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)))
    model(torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(step)))  # moves the running statistics


@pytest.mark.parametrize('momentum', [0.001, 0.01, 0.5])
def test_it_is_that_of_mmengine(momentum):
    query = network()
    ours, theirs = MomentumEncoder(query, momentum), ExponentialMovingAverage(query, momentum)
    for step in range(5):
        trained(query, step)
        ours.update_parameters(query)
        theirs.update_parameters(query)
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b), (step, name)


def test_by_hand():
    query = nn.Linear(1, 1, bias=False)
    query.weight.data.fill_(2.0)
    keys = MomentumEncoder(query, 0.25)
    for expected, value in [(4.0, 4.0), (5.0, 8.0), (3.75, 0.0)]:  # a copy first, then a quarter of the way
        query.weight.data.fill_(value)
        keys.update_parameters(query)
        assert keys.module.weight.item() == expected
    assert keys.steps == 3 and not keys.module.weight.requires_grad
    assert query.weight.item() == 0.0


def test_one_that_is_loaded_goes_on():
    query = network()
    keys = MomentumEncoder(query, 0.1)
    keys.update_parameters(query)
    again = MomentumEncoder(network(1), 0.1)
    again.load_state_dict(copy.deepcopy(keys.state_dict()))
    trained(query, 1)
    for encoder in (keys, again):
        encoder.update_parameters(query)
    assert all(torch.equal(a, b) for a, b in zip(keys.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(iter(keys.module.parameters())), next(iter(query.parameters())))
