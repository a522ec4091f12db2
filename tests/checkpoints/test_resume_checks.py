"""What a run that goes on from a checkpoint would stumble over."""

import copy
import math

import pytest
import torch
from mmselfsup.engine.optimizers import LARS

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.resume_checks import keeps_state, oddities, state_misfits
from clim_mm.checkpoints.weights import not_finite


@pytest.fixture
def checkpoint(toy_checkpoint):
    return read_checkpoint(toy_checkpoint)


def test_a_checkpoint_of_a_training_is_in_order(checkpoint):
    assert oddities(checkpoint) == []
    assert not_finite('weights', checkpoint['state_dict']) == []


@pytest.mark.parametrize('part, value, words', [
    ('meta', None, 'meta is a NoneType'), ('optimizer', 3, 'optimizer is a int'), ('message_hub', [], 'is a list'),
    ('param_schedulers', 'text', 'param_schedulers is a str')])
def test_a_part_of_another_kind(checkpoint, part, value, words):
    checkpoint[part] = value
    found = oddities(checkpoint)
    assert len(found) == 1 and found[0].endswith(words)


@pytest.mark.parametrize('name', ['epoch', 'iter', 'seed'])
@pytest.mark.parametrize('value', ['3', 1.5, True, [1], math.nan])
def test_numbers_that_are_none(checkpoint, name, value):
    checkpoint['meta'][name] = value
    assert oddities(checkpoint) == [f'meta.{name} is a {type(value).__name__}']


def test_no_seed_is_in_order(checkpoint):
    checkpoint['meta']['seed'] = None
    assert oddities(checkpoint) == []
    del checkpoint['meta']['seed']
    assert oddities(checkpoint) == []


def test_an_optimizer_that_is_not_finite(checkpoint):
    state = checkpoint['optimizer']['state']
    state[0]['momentum_buffer'][0] = math.nan
    assert oddities(checkpoint) == ['1 tensors of its optimizer hold NaN or infinity: 0.momentum_buffer']
    del checkpoint['optimizer']['state']
    assert oddities(checkpoint) == []


def test_tensors_that_are_not_finite():
    values = dict(a=torch.tensor([1.0, math.inf]), b=torch.zeros(2), c=dict(d=torch.tensor(math.nan)), e='text',
                  f=torch.ones(1, dtype=torch.int64), g=torch.tensor([math.nan], dtype=torch.bfloat16))
    assert not_finite('weights', values) == ['3 tensors of its weights hold NaN or infinity: a, c.d, g']


OPTIMIZERS = [
    (torch.optim.SGD, dict(lr=0.1, momentum=0.9)), (torch.optim.Adam, dict(lr=0.1)),
    (torch.optim.AdamW, dict(lr=0.1, amsgrad=True)), (torch.optim.RMSprop, dict(lr=0.1, centered=True)),
    (torch.optim.Adafactor, dict(lr=0.1)), (torch.optim.NAdam, dict(lr=0.1)),
    (LARS, dict(lr=0.1, momentum=0.9))]


def trained(kind, **settings):
    """An optimizer of a small network, after a step, and its state."""
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    network[0].bias.requires_grad_(False)
    optimizer = kind(network.parameters(), **settings)
    network(torch.ones(4, 2, 1, 1)).sum().backward()
    optimizer.step()
    return optimizer, copy.deepcopy(optimizer.state_dict())


def misfits(optimizer, saved):
    return state_misfits(optimizer, saved['param_groups'], saved['state'])


@pytest.mark.parametrize('kind, settings', OPTIMIZERS)
def test_a_state_of_its_own_fits_and_is_left_as_it_is(kind, settings):
    optimizer, saved = trained(kind, **settings)
    before = copy.deepcopy(saved)
    weights = [weight.clone() for weight in optimizer.param_groups[0]['params']]
    assert misfits(optimizer, saved) == []
    assert repr(saved) == repr(before) and repr(optimizer.state_dict()) == repr(before)
    assert all(map(torch.equal, weights, optimizer.param_groups[0]['params']))
    assert keeps_state(optimizer, saved['param_groups'][0])


@pytest.mark.parametrize('kind, settings', OPTIMIZERS)
@pytest.mark.parametrize('shape', [(7, 1), (2, 2, 3), (1, 3, 2, 1, 1), ()])
def test_a_tensor_of_another_shape_fits_no_step(kind, settings, shape):
    optimizer, saved = trained(kind, **settings)
    state = saved['state'][2]  # the second layer's (2, 3)
    name = next(name for name, value in state.items() if torch.is_tensor(value) and value.dim() == 2)
    state[name] = torch.zeros(shape)
    (found, ) = misfits(optimizer, saved)
    assert found.startswith(f'its optimizer\'s state of weight 2, of shape (2, 3), fits no step of {kind.__name__} (')
    assert '\n' not in found


def test_what_the_settings_need_must_be_there():
    optimizer, saved = trained(torch.optim.Adam, lr=0.1)
    saved['param_groups'][0]['amsgrad'] = True
    assert len(misfits(optimizer, saved)) == 3
    optimizer, saved = trained(torch.optim.SGD, lr=0.1)
    saved['param_groups'][0]['momentum'] = 0.9
    assert misfits(optimizer, saved) == [], 'it begins with the first gradient'


def test_a_state_of_weights_that_are_not_there():
    optimizer, saved = trained(torch.optim.SGD, lr=0.1, momentum=0.9)
    saved['state'][4] = saved['state'][2]
    assert misfits(optimizer, saved) == ['its optimizer has a state of 1 weights that are not there']


def test_an_optimizer_that_makes_no_step_of_one_weight_is_not_judged():
    class Whole(torch.optim.SGD):
        def step(self, closure=None):
            assert len(self.param_groups[0]['params']) == 4
            return super().step(closure)

    optimizer, saved = trained(Whole, lr=0.1, momentum=0.9)
    saved['state'][2]['momentum_buffer'] = torch.zeros(7)
    assert misfits(optimizer, saved) == [] and not keeps_state(optimizer, saved['param_groups'][0])


def test_plain_descent_keeps_nothing():
    optimizer, saved = trained(torch.optim.SGD, lr=0.1)
    assert not keeps_state(optimizer, saved['param_groups'][0])
