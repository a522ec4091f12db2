"""What a run that goes on from a checkpoint would stumble over."""

import math

import pytest
import torch

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.contents import not_finite, oddities


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
@pytest.mark.parametrize('value', ['3', 1.5, -1, True, [1], math.nan])
def test_numbers_that_are_none(checkpoint, name, value):
    checkpoint['meta'][name] = value
    assert oddities(checkpoint) == [f'meta.{name} is {value!r}']


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
