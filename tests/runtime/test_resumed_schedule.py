"""Schedules that are brought to where a training goes on."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineRestartLR,
    ExponentialLR,
    LinearLR,
    LinearMomentum,
    MultiStepLR,
    OneCycleLR,
    PolyLR,
    ReduceOnPlateauLR,
    StepLR,
)

from clim_mm.errors import ConfigError
from clim_mm.runtime.resumed_schedule import goes_on, is_state, replay, schedule_rows

SCHEDULES = [
    [(CosineAnnealingLR, dict(T_max=8, eta_min=0.01))], [(MultiStepLR, dict(milestones=[2, 5]))],
    [(StepLR, dict(step_size=2))], [(ExponentialLR, dict(gamma=0.9))], [(PolyLR, dict(end=8, power=2.0))],
    [(CosineRestartLR, dict(periods=[3, 5], restart_weights=[1, 0.5], eta_min=0.0))],
    [(OneCycleLR, dict(eta_max=1.0, total_steps=30, by_epoch=False))],
    [(LinearLR, dict(start_factor=0.1, end=7, by_epoch=False)), (CosineAnnealingLR, dict(begin=1, T_max=7, end=8))],
    [(ConstantLR, dict(factor=0.5, end=2)), (LinearMomentum, dict(start_factor=0.5, end=4))],
]


def built(schedules, lr=0.2):
    """An optimizer of two groups, of which MMEngine adds a third, with its schedules."""
    groups = [dict(params=[torch.nn.Parameter(torch.ones(1))], lr=rate) for rate in (lr, 10 * lr)]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=lr, momentum=0.9))
    return wrapper, [kind(wrapper, **settings) for kind, settings in schedules]


def values(wrapper):
    return [(group['lr'], group['momentum']) for group in wrapper.param_groups]


def trained(schedules, epochs, steps):
    """As a training moves them."""
    wrapper, parts = built(schedules)
    for _ in range(epochs):
        for _ in range(steps):
            wrapper.optimizer.step()
            for part in parts:
                if not part.by_epoch:
                    part.step()
        for part in parts:
            if part.by_epoch:
                part.step()
    return wrapper, parts


@pytest.mark.parametrize('schedules', SCHEDULES, ids=lambda schedules: '+'.join(kind.__name__ for kind, _ in schedules))
@pytest.mark.parametrize('epochs', [1, 4])
def test_a_replay_ends_where_a_training_would_be(schedules, epochs):
    expected, theirs = trained(schedules, epochs, steps=3)
    wrapper, parts = built(schedules)
    replay(parts, epochs, 3 * epochs)
    assert values(wrapper) == values(expected)
    for part, their in zip(parts, theirs, strict=True):
        assert part.state_dict() == their.state_dict()
    _, fresh = built(schedules)
    assert all(is_state(their.state_dict()) and goes_on(part, their.state_dict(), epochs, 3 * epochs)
               for part, their in zip(fresh, theirs, strict=True))
    rows = [*schedule_rows('schedule', fresh, [their.state_dict() for their in theirs], [])]
    assert rows and not any(row.differs for row in rows)


def test_a_training_by_iterations():
    schedules = [(LinearLR, dict(start_factor=0.1, end=7, by_epoch=False)), (MultiStepLR, dict(milestones=[1]))]
    expected, _ = trained(schedules[:1], 1, steps=5)
    wrapper, parts = built(schedules)
    replay(parts, epochs=0, iterations=5)
    assert values(wrapper) == values(expected), 'no epoch is over'


def state(schedules, epochs=3, **changes):
    (part, ) = trained(schedules, epochs, steps=2)[1]
    return dict(part.state_dict(), **changes)


def test_what_does_not_go_on():
    cosine = [(CosineAnnealingLR, dict(T_max=8))]
    (own, ) = built(cosine)[1]
    assert goes_on(own, state(cosine), 3, 6)
    assert not goes_on(own, state([(CosineAnnealingLR, dict(T_max=9))]), 3, 6)
    assert not goes_on(own, state([(StepLR, dict(step_size=2))]), 3, 6)
    assert not goes_on(own, state(cosine), 2, 4), 'another place'
    assert not goes_on(built(cosine, lr=0.1)[1][0], state(cosine), 3, 6), 'another rate'
    by_iteration = [(LinearLR, dict(start_factor=0.1, end=99, by_epoch=False))]
    (own, ) = built(by_iteration)[1]
    assert goes_on(own, state(by_iteration), 3, 6) and not goes_on(own, state(by_iteration), 3, 12), 'fewer processes'


@pytest.mark.parametrize('changes', [
    dict(last_step='3'), dict(_global_step=None), dict(base_values=[0.2, 'x']), dict(_last_value=[float('nan')]),
    dict(base_values=3)])
def test_what_is_no_state(changes):
    assert not is_state(state([(StepLR, dict(step_size=2))], **changes))
    assert not is_state(3) and not is_state({})


def test_rows_tell_the_settings_that_differ():
    def differences(ours, theirs, types=()):
        rows = schedule_rows('s', built(ours)[1], [part.state_dict() for part in built(theirs)[1]], types)
        return {row.setting: (row.checkpoint, row.in_force) for row in rows if row.differs}

    cosine, step = [(CosineAnnealingLR, dict(T_max=8))], [(StepLR, dict(step_size=2))]
    assert differences(cosine, [(CosineAnnealingLR, dict(T_max=6, end=6))]) == {
        's.0.T_max': (6, 8), 's.0.end': (6, 10**9)}
    assert differences(cosine, step) == {'s.0.type': ('another', 'CosineAnnealingLR')}
    assert differences(cosine, step, ['StepLR']) == {'s.0.type': ('StepLR', 'CosineAnnealingLR')}
    assert differences([(MultiStepLR, dict(milestones=[60, 80]))], [(MultiStepLR, dict(milestones=[60, 90]))]) == {
        's.0.milestones': ([60, 90], [60, 80])}
    assert differences([], step) == {'s.0.type': ('another', '(not set)')}
    assert differences(cosine + step, cosine) == {'s.1.type': ('(not set)', 'StepLR')}


def test_a_schedule_by_measurements_is_not_replayed():
    parts = built([(ReduceOnPlateauLR, dict(monitor='loss'))])[1]
    with pytest.raises(ConfigError, match='ReduceOnPlateauLR follows what validations have measured, and cannot be'):
        replay(parts, 3, 6)
    assert goes_on(parts[0], dict(parts[0].state_dict(), _global_step=3, best=0.4, num_bad_epochs=1), 3, 6)
