"""Schedules as MMEngine builds them."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from clim_mm.preflight.schedules import Schedule, schedules_of


def built(**cfg):
    """A scheduler of a training of 20 epochs, with the end that the Runner gives it."""
    wrapper = build_optim_wrapper(torch.nn.Linear(1, 1), dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)))
    return PARAM_SCHEDULERS.build(dict(dict(end=20), **cfg), default_args=dict(optimizer=wrapper, epoch_length=10))


@pytest.mark.parametrize('cfg, expected', [
    (dict(type='CosineAnnealingLR'), Schedule('CosineAnnealingLR', True, 0, 20, 20)),
    (dict(type='CosineAnnealingLR', T_max=15, begin=2), Schedule('CosineAnnealingLR', True, 2, 20, 17)),
    (dict(type='CosineAnnealingLR', convert_to_iter_based=True), Schedule('CosineAnnealingLR', False, 0, 200, 200)),
    (dict(type='MultiStepLR', milestones=[12, 16], begin=1), Schedule('MultiStepLR', True, 1, 20, None, (13, 17))),
    (dict(type='StepLR', step_size=8), Schedule('StepLR', True, 0, 20, None, (8, ))),
    (dict(type='LinearLR', start_factor=0.1, end=5), Schedule('LinearLR', True, 0, 5)),
])
def test_a_schedule(cfg, expected):
    assert schedules_of([built(**cfg)]) == (expected, )


def test_only_those_of_the_learning_rate():
    schedulers = [built(type='CosineAnnealingMomentum'), built(type='CosineAnnealingLR')]
    assert [schedule.name for schedule in schedules_of(schedulers)] == ['CosineAnnealingLR']


def test_none_and_those_by_optimizer():
    assert schedules_of(None) == ()
    by_optimizer = dict(a=[built(type='StepLR', step_size=8)], b=[built(type='CosineAnnealingLR')])
    assert [schedule.name for schedule in schedules_of(by_optimizer)] == ['StepLR', 'CosineAnnealingLR']
