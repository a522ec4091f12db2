"""A resumed run goes on with the config's settings, or says why it cannot."""

import math

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
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
    StepLR,
)
from mmengine.registry import PARAM_SCHEDULERS
from toy_runs import STEPS, Linear, toy_config, toy_runner

from clim_mm.checkpoints import read_checkpoint
from clim_mm.checkpoints.resume import replay
from clim_mm.errors import ConfigError, TrainingError
from clim_mm.hooks.checkpoint_guard_hook import ResumeGuardHook

COSINE = [dict(type='CosineAnnealingLR', by_epoch=True)]
WARM = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4), *COSINE]
PARAMWISE = dict(bias_lr_mult=2.0, bias_decay_mult=0.0)


class Rates(Hook):
    """Notes the learning rate of each step, and the optimizer's other settings."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.rates, self.settings = [], {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        self.rates.append([group['lr'] for group in runner.optim_wrapper.param_groups])
        group = runner.optim_wrapper.optimizer.param_groups[0]
        self.settings = {key: value for key, value in group.items() if key != 'params'}


def run_of(work_dir, epochs=4, schedule=COSINE, load_from=None, seed=3, loop=None, paramwise=None, save=1, **optimizer):
    cfg = toy_config(work_dir, epochs, **(dict(load_from=str(load_from), resume=True) if load_from else {}))
    cfg.default_hooks.checkpoint.interval = save
    cfg.optim_wrapper.optimizer = dict(dict(type='SGD', lr=0.1, momentum=0.9), **optimizer)
    cfg.merge_from_dict(dict(param_scheduler=schedule, randomness=dict(seed=seed), log_level='WARNING'))
    if paramwise:
        cfg.optim_wrapper.paramwise_cfg = paramwise
    if loop:
        cfg.train_cfg = loop
        cfg.default_hooks.checkpoint.by_epoch = False
    return toy_runner(cfg, [ResumeGuardHook(), rates := Rates()]), rates


def trained(work_dir, *args, **kwargs):
    """The learning rates of each step, the runner, the optimizer's settings and the log."""
    runner, seen = run_of(work_dir, *args, **kwargs)
    lines = []
    runner.logger.addFilter(lambda record: lines.append(record.getMessage()) or False)
    runner.train()
    return seen.rates, runner, seen.settings, '\n'.join(lines)


@pytest.fixture(scope='module')
def four_epochs(tmp_path_factory):
    """The work dir of a training of four epochs on a cosine."""
    folder = tmp_path_factory.mktemp('four')
    trained(folder, save=2)
    return folder


def changed(folder, target, change):
    checkpoint = read_checkpoint(folder / 'epoch_2.pth')
    change(checkpoint)
    torch.save(checkpoint, target / 'changed.pth')
    return target / 'changed.pth'


def values_in(log, setting):
    """What the table says of a setting: checkpoint, config, in force."""
    (line, ) = [line for line in log.splitlines() if line.startswith(f'  {setting}  ')]
    return line[len(setting) + 2:].split()


def differing(log):
    """The settings in the table, beside when checkpoints are written."""
    table = log.partition('  in force\n')[2].partition(' other settings equal')[0].splitlines()[:-1]
    return {line.split()[0] for line in table} - {'default_hooks.checkpoint.interval'}


def test_equal_settings_are_taken_as_they_were_saved(tmp_path, four_epochs):
    whole = trained(tmp_path / 'whole', save=4)
    rates, runner, _, log = trained(tmp_path / 'on', load_from=four_epochs / 'epoch_2.pth')
    assert rates == whole[0][2 * STEPS:] and not differing(log)
    assert all(map(torch.equal, runner.model.parameters(), whole[1].model.parameters()))
    saved = [read_checkpoint(folder / 'epoch_4.pth') for folder in (tmp_path / 'whole', tmp_path / 'on')]
    assert saved[0]['param_schedulers'] == saved[1]['param_schedulers']
    assert repr(saved[0]['optimizer']) == repr(saved[1]['optimizer'])


CHANGES = dict(
    longer=dict(epochs=8), shorter=dict(epochs=3), lower=dict(lr=0.03), another=dict(schedule=[
        dict(type='MultiStepLR', milestones=[1, 3])]), warm=dict(schedule=WARM), two=dict(schedule=[
            *COSINE, dict(type='LinearMomentum', start_factor=0.5, end=3)]), constant=dict(schedule=None),
    bottom=dict(schedule=[dict(COSINE[0], eta_min=0.02)]), by_iteration=dict(schedule=[
        dict(COSINE[0], convert_to_iter_based=True)]), both=dict(epochs=6, lr=0.01, schedule=WARM))


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_the_rates_are_those_of_a_training_that_had_the_settings_from_the_start(tmp_path, four_epochs, change):
    expected = trained(tmp_path / 'whole', save=9, **change)
    found = trained(tmp_path / 'on', load_from=four_epochs / 'epoch_2.pth', **change)
    assert found[0] == expected[0][2 * STEPS:] and found[2] == expected[2]
    last = [read_checkpoint(folder / f'epoch_{expected[1].max_epochs}.pth') for folder in (tmp_path / 'whole',
                                                                                            tmp_path / 'on')]
    assert last[0].get('param_schedulers') == last[1].get('param_schedulers')
    again = trained(tmp_path / 'again', load_from=tmp_path / 'on' / 'epoch_3.pth', save=9, **change)
    assert again[0] == expected[0][3 * STEPS:] and not differing(again[3]), 'nothing is new the second time'


@pytest.mark.parametrize('schedule', [COSINE, WARM], ids=['cosine', 'warm'])
def test_groups_with_rates_of_their_own(tmp_path, schedule):
    trained(tmp_path / 'first', schedule=schedule, paramwise=PARAMWISE, weight_decay=0.1)
    path = tmp_path / 'first' / 'epoch_2.pth'
    changes = dict(schedule=schedule, paramwise=dict(PARAMWISE, bias_lr_mult=3.0), weight_decay=0.1, epochs=6)
    expected = trained(tmp_path / 'whole', save=9, **changes)
    found = trained(tmp_path / 'on', save=9, load_from=path, **changes)
    assert found[0] == expected[0][2 * STEPS:] and len(found[0][0]) == 3, 'with the one that MMEngine adds'
    assert values_in(found[3], 'optim_wrapper.paramwise_cfg.bias_lr_mult') == ['2.0', '3.0', '3.0']
    with pytest.raises(ConfigError, match=r'has the weights in other groups than this config\'s \(2, not 1, or of'):
        trained(tmp_path / 'refused', schedule=schedule, load_from=path)


def test_settings_beside_the_schedule(tmp_path, four_epochs):
    rates, runner, settings, log = trained(
        tmp_path, load_from=four_epochs / 'epoch_2.pth', weight_decay=1e-3, momentum=0.5, nesterov=True, seed=11)
    assert [rate for rate, in rates] == pytest.approx([0.05] * 3 + [0.1 * (1 - math.sqrt(0.5)) / 2] * 3)
    assert (settings['weight_decay'], settings['momentum'], settings['nesterov']) == (1e-3, 0.5, True)
    assert runner.seed == 11 and read_checkpoint(tmp_path / 'epoch_4.pth')['meta']['seed'] == 11
    assert values_in(log, 'randomness.seed') == ['3', '11', '11']
    assert values_in(log, 'optim_wrapper.optimizer.weight_decay') == ['(not', 'set)', '0.001', '0.001']
    assert differing(log) == {'randomness.seed', *(f'optim_wrapper.optimizer.{name}' for name in (
        'weight_decay', 'momentum', 'nesterov'))}


def test_without_a_seed_of_its_own_the_checkpoints_is_in_force(tmp_path, four_epochs):
    _, runner, _, log = trained(tmp_path, load_from=four_epochs / 'epoch_2.pth', seed=None)
    assert runner.seed == 3 and 'randomness.seed' not in differing(log)


def test_the_table(tmp_path, four_epochs):
    path = four_epochs / 'epoch_2.pth'
    log = trained(tmp_path, 8, load_from=path, lr=0.05)[3]
    assert f'Settings of the checkpoint {path}, saved after epoch 2, and of this training:\n  setting' in log
    assert values_in(log, 'optim_wrapper.optimizer.lr') == ['0.1', '0.05', '0.05']
    assert values_in(log, 'train_cfg.max_epochs') == ['4', '8', '8']
    assert values_in(log, 'lr of the next step') == ['0.05'] + ['0.04267766952966369'] * 2
    assert ' other settings equal' in log


def test_another_number_of_processes_is_told(tmp_path, four_epochs):
    path = changed(four_epochs, tmp_path, lambda c: c['meta'].update(processes=16))
    assert values_in(trained(tmp_path, load_from=path)[3], 'processes') == ['16', '1', '1']


def test_a_schedule_by_iterations_stands_where_its_steps_are_with_fewer_processes(tmp_path):
    """Two processes of half as many steps: the schedule is at the same epoch."""
    trained(tmp_path / 'first', schedule=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=12)])
    path = changed(tmp_path / 'first', tmp_path, lambda c: c['param_schedulers'][0].update(_global_step=3, last_step=3))
    expected = trained(tmp_path / 'whole', schedule=[
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=12)])[0]
    assert trained(tmp_path / 'on', load_from=path, schedule=[
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=12)])[0] == expected[2 * STEPS:]


def test_a_rate_that_its_schedule_has_not_set_is_set_anew(tmp_path, four_epochs):
    path = changed(four_epochs, tmp_path, lambda c: c['optimizer']['param_groups'][0].update(lr=5.0))
    rates, *_, log = trained(tmp_path, load_from=path)
    assert [rate for rate, in rates[:1]] == pytest.approx([0.05])
    assert values_in(log, 'lr of the next step') [0] == '5.0'


class TwoLayers(Linear):
    """Two linear models, each with an optimizer of its own."""

    def __init__(self):
        super().__init__(extra=True)
        self.rates = []

    def train_step(self, data, optim_wrapper):  # noqa: D102
        self.rates.append([group['lr'] for part in optim_wrapper.values() for group in part.param_groups])
        for name, part in optim_wrapper.items():
            part.update_params(((getattr(self, name)(data[0]) - data[1])**2).mean())
        return dict(loss=torch.zeros(()))


def test_several_optimizers(tmp_path):
    def rates(folder, epochs, lr=0.2, load_from=None):
        cfg = toy_config(folder, epochs, **(dict(load_from=str(load_from), resume=True) if load_from else {}))
        cfg.param_scheduler = COSINE
        runner = toy_runner(cfg, [ResumeGuardHook()])
        runner.model = model = TwoLayers()
        runner.optim_wrapper = OptimWrapperDict(
            layer=OptimWrapper(torch.optim.SGD(model.layer.parameters(), lr=0.1, momentum=0.9)),
            extra=OptimWrapper(torch.optim.Adam(model.extra.parameters(), lr=lr)))
        runner.train()
        return model.rates

    rates(tmp_path / 'first', 3)
    expected = rates(tmp_path / 'whole', 4, lr=0.3)
    found = rates(tmp_path / 'on', 4, lr=0.3, load_from=tmp_path / 'first' / 'epoch_2.pth')
    assert found == expected[2 * STEPS:]
    assert rates(tmp_path / 'again', 4, lr=0.3, load_from=tmp_path / 'on' / 'epoch_3.pth') == expected[3 * STEPS:]


def test_a_training_by_iterations(tmp_path):
    loop, schedule = dict(type='IterBasedTrainLoop', max_iters=2), [dict(COSINE[0], by_epoch=False)]
    longer = dict(loop, max_iters=3)
    trained(tmp_path / 'first', schedule=schedule, loop=loop)
    expected = trained(tmp_path / 'whole', schedule=schedule, loop=longer)[0]
    path = tmp_path / 'first' / 'iter_2.pth'
    assert trained(tmp_path / 'on', schedule=schedule, loop=longer, load_from=path)[0] == expected[2:]
    log = trained(tmp_path / 'no', schedule=schedule, loop=dict(loop, max_iters=1), load_from=path)[3]
    assert 'was saved after iter 2, and train_cfg.max_iters=1. Set it higher to go on.' in log


@pytest.mark.parametrize('loop, place', [(None, 'epoch 1'), (dict(type='IterBasedTrainLoop', max_iters=2), 'iter 1')])
def test_broken_weights_are_told_with_their_place(tmp_path, loop, place):
    with pytest.raises(TrainingError, match=f'No checkpoint is written after {place} '):
        trained(tmp_path, 2, schedule=[], loop=loop, lr=float('inf'))


def test_a_finished_training_says_so(tmp_path, four_epochs):
    path = four_epochs / 'epoch_4.pth'
    for epochs in (3, 4):
        rates, _, _, log = trained(tmp_path / str(epochs), epochs, load_from=path)
        assert not rates
        assert (f'The training is finished: the checkpoint {path} was saved after epoch 4, and '
                f'train_cfg.max_epochs={epochs}. Set it higher to go on.') in log


def test_another_optimizer_is_refused(tmp_path, four_epochs):
    runner, _ = run_of(tmp_path, load_from=four_epochs / 'epoch_2.pth')
    runner.optim_wrapper = runner.cfg.optim_wrapper = dict(optimizer=dict(type='Adam', lr=0.1))
    with pytest.raises(ConfigError, match='was trained with SGD, whose state is of no use to Adam: .* load_from'):
        runner.train()
    assert runner.iter == 0


def test_a_checkpoint_without_its_config_is_compared_in_part(tmp_path, four_epochs):
    for number, cfg in enumerate([None, 'a = (', 3]):
        path = changed(four_epochs, tmp_path, lambda c, cfg=cfg: c['meta'].update(cfg=cfg))
        rates, _, _, log = trained(tmp_path / str(number), 8, load_from=path)
        assert [rate for rate, in rates[:1]] == pytest.approx([0.1 * (1 + math.sqrt(0.5)) / 2])
        assert 'does not tell its config, so that only a part of it can be compared' in log


def test_a_run_that_had_no_schedule_gets_one(tmp_path):
    trained(tmp_path / 'first', schedule=None)
    rates, *_, log = trained(tmp_path / 'on', load_from=tmp_path / 'first' / 'epoch_2.pth')
    assert [rate for rate, in rates[:1]] == pytest.approx([0.05])
    assert 'CosineAnnealingLR' in ' '.join(values_in(log, 'param_scheduler'))


def replace(*place, value):
    def change(checkpoint):
        owner = checkpoint
        for key in place[:-1]:
            owner = owner[key]
        owner[place[-1]] = value

    return change


@pytest.mark.parametrize('change, words', [
    (replace('optimizer', 'state', 0, 'momentum_buffer', value=torch.tensor([[math.nan, 0]])),
     '1 tensors of its optimizer hold NaN or infinity: state.0.momentum_buffer'),
    (replace('optimizer', 'param_groups', value=[3]), 'its optimizer is none: TypeError'),
    (replace('optimizer', 'param_groups', 0, value={}), 'its optimizer is none: KeyError'),
])
def test_a_state_that_is_none(tmp_path, four_epochs, change, words):
    runner, _ = run_of(tmp_path, 8, load_from=changed(four_epochs, tmp_path, change))
    with pytest.raises(ConfigError, match=f'is not as a training saves it .*{words}.*: give another, such as the one'):
        runner.train()
    assert runner.iter == 0


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


def stepped(schedules, epochs, steps):
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
    expected, theirs = stepped(schedules, epochs, steps=3)
    wrapper, parts = built(schedules)
    replay(parts, epochs, 3)
    assert values(wrapper) == values(expected)
    assert [part.state_dict() for part in parts] == [their.state_dict() for their in theirs]


def test_a_replay_of_a_training_by_iterations():
    schedules = [(LinearLR, dict(start_factor=0.1, end=7, by_epoch=False)), (MultiStepLR, dict(milestones=[1]))]
    expected, _ = stepped(schedules[:1], 1, steps=5)
    wrapper, parts = built(schedules)
    replay(parts, epochs=0, iterations=5)
    assert values(wrapper) == values(expected), 'no epoch is over'


class MeasuredLR(MultiStepLR):
    """Stands for a schedule that follows validations."""

    need_val_args = True


def test_a_schedule_by_measurements_goes_on_as_it_was_saved_and_with_no_other_settings(tmp_path, monkeypatch):
    monkeypatch.setitem(PARAM_SCHEDULERS.module_dict, 'MeasuredLR', MeasuredLR)
    schedule = [dict(type='MeasuredLR', milestones=[1, 3], by_epoch=True)]
    trained(tmp_path / 'first', schedule=schedule)
    path = changed(tmp_path / 'first', tmp_path, lambda c: c['optimizer']['param_groups'][0].update(lr=0.07))
    rates = trained(tmp_path / 'on', schedule=schedule, load_from=path)[0]
    assert [rate for rate, in rates[:STEPS]] == [0.07] * STEPS
    for number, settings in enumerate([dict(lr=0.3), dict(schedule=[dict(schedule[0], gamma=0.5)])]):
        with pytest.raises(ConfigError, match='follows what validations have measured cannot go on with other settin'):
            trained(tmp_path / str(number), load_from=path, **dict(dict(schedule=schedule), **settings))


@pytest.mark.parametrize('value', [None, [], [3]])
def test_the_states_of_schedules_need_not_be_there(tmp_path, four_epochs, value):
    expected = trained(tmp_path / 'whole', save=9)[0]
    path = changed(four_epochs, tmp_path, lambda c: c.update(param_schedulers=value) if value else c.pop(
        'param_schedulers'))
    assert trained(tmp_path / 'on', load_from=path)[0] == expected[2 * STEPS:]
