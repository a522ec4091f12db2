"""The histories of figures: how long they are, and that what is shown of them stays the same."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from scripted_runs import SOUND, scripted_run
from toy_runs import STEPS, toy_config, toy_runner

from clim_mm.hooks import upkeep_hooks
from clim_mm.hooks.upkeep_hooks import HistoryHook
from clim_mm.hooks.watchdog_hook import WatchdogHook
from clim_mm.launch.commands import train


def lengths(runner):
    return {name: len(history.data[0]) for name, history in runner.message_hub.log_scalars.items()}


@pytest.fixture
def kept_10(monkeypatch):
    monkeypatch.setattr(upkeep_hooks, '_KEPT', 10)


def run_of(folder, hooks, steps=60, **overrides):
    folder.mkdir()
    rng = np.random.default_rng(0)
    script = [{name: float(rng.uniform(0.9, 1)) for name in SOUND} for _ in range(steps)]
    return scripted_run(folder, script, WatchdogHook(10), default_hooks=dict(hooks, checkpoint=None), **overrides)


def shown_by(folder, runner):
    lines = (folder / runner.timestamp / 'vis_data' / 'scalars.json').read_text().splitlines()
    shown = [json.loads(line) for line in lines]
    return [{name: value for name, value in line.items() if 'time' not in name} for line in shown]


def test_every_history_is_as_long_as_what_is_shown_and_that_stays_the_same(tmp_path, kept_10):
    hooks = dict(logger=dict(type='LoggerHook', interval=7))
    whole = run_of(tmp_path / 'whole', hooks)
    short = run_of(tmp_path / 'short', dict(hooks, history=dict(type='HistoryHook')))
    assert set(lengths(whole).values()) == {60}
    assert {'train/lr', 'train/loss', 'train/time', 'train/data_time', 'train/relative_nce'} <= set(lengths(short))
    assert set(lengths(short).values()) == {10}
    assert shown_by(tmp_path / 'short', short) == shown_by(tmp_path / 'whole', whole)
    verdicts = [(tmp_path / name / 'watchdog.jsonl').read_text().splitlines() for name in ('whole', 'short')]
    whole, short = ([dict(json.loads(line), run='') for line in lines] for lines in verdicts)
    assert whole == short


@pytest.mark.parametrize('window', ['epoch', 'global'])
def test_a_window_that_is_asked_for_is_kept(tmp_path, kept_10, window):
    log = dict(type='LogProcessor', custom_cfg=[dict(data_src='loss', method_name='mean', window_size=window)])
    runner = run_of(tmp_path / 'run', dict(history=dict(type='HistoryHook')), epochs=2, epoch_length=30,
                    log_processor=log)
    assert lengths(runner)['train/loss'] == 60
    assert lengths(runner)['train/lr'] == 10


def test_a_resumed_history_is_cut_back(tmp_path):
    runner = toy_runner(toy_config(tmp_path, 1), hooks=[HistoryHook()])
    long = np.arange(100_000.)
    for name in ('train/loss', 'train/no longer reported'):
        runner.message_hub.log_scalars[name] = HistoryBuffer(long, np.ones(100_000))
    runner.train()
    assert len(runner.message_hub.get_scalar('train/loss').data[0]) == 10_000
    assert runner.message_hub.get_scalar('train/loss').data[0][:-STEPS].tolist() == long[-10_000 + STEPS:].tolist()
    assert runner.message_hub.get_scalar('train/no longer reported').data[0].tolist() == long[-10_000:].tolist()


def test_a_config_of_anothers_has_the_hook_too(tmp_path, kept_10):
    cfg = toy_config(tmp_path, 5, model=dict(type='toy_runs.Linear'), train_dataloader=dict(
        batch_size=2, num_workers=0, dataset=dict(type='toy_runs.Numbers'), collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=False)))
    train(cfg, [])
    hub = MessageHub.get_current_instance()
    assert {len(history.data[0]) for history in hub.log_scalars.values()} == {10}


@pytest.mark.parametrize('path', [
    'clim/clim_r18_1xb32-20e_digits.py', 'mocov2/mocov2_r50_16xb32-200e_in1k.py',
    'benchmarks/classification/digits/resnet18_linear-1xb32-steplr-30e_digits.py'])
def test_the_configs_have_it_once(path):
    hooks = Config.fromfile(f'configs/{path}').default_hooks
    assert [hook for hook in hooks.values() if hook.type == 'HistoryHook'] == [dict(type='HistoryHook')]
