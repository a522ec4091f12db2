"""When a training is judged, what is written where, and that a resumed run goes on with the same lines."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from gloo import on_processes
from mmengine.hooks import Hook
from scripted_runs import SOUND, scripted_run
from training_runs import EXTRACT_PIPELINE, hook_cfg, runner_of

from clim_mm.errors import ConfigError
from clim_mm.hooks import watchdog_hook
from clim_mm.hooks.center_wise_neighbor_hook import CenterWiseNeighborHook
from clim_mm.hooks.watchdog_hook import WatchdogHook
from clim_mm.models.parts.contrastive_health import FIGURES, judge

CHANCE = dict(SOUND, relative_nce=1.0)


def lines_of(work_dir):
    return [json.loads(line) for line in (work_dir / 'watchdog.jsonl').read_text().splitlines()]


def said_in(work_dir):
    """(level, sentence) of each of the watchdog's lines in the log."""
    lines = [line.split(' - ', 3) for line in (work_dir / 'run.log').read_text().splitlines()]
    return [(line[2], line[3]) for line in lines if len(line) == 4 and 'atchdog' in line[3]]


def wandering(steps, seed=0):
    """A sound script whose figures are different at every step."""
    rng = np.random.default_rng(seed)
    return [{name: value * (1 if name == 'queue_fill' else rng.uniform(0.9, 1.0)) for name, value in SOUND.items()}
            for _ in range(steps)]


def test_each_interval_is_judged_by_the_means_of_its_steps(tmp_path):
    script = wandering(14)
    runner = scripted_run(tmp_path, script, WatchdogHook(3), epochs=2, epoch_length=7)
    lines = lines_of(tmp_path)
    assert [(line['epoch'], line['iter']) for line in lines] == [(0, 3), (0, 6), (1, 10), (1, 13)]
    for line, steps in zip(lines, (script[0:3], script[3:6], script[7:10], script[10:13]), strict=True):
        assert list(line) == ['run', 'epoch', 'iter', *FIGURES, 'state', 'reason']
        assert line['run'] == runner.timestamp
        means = {name: np.mean([figures[name] for figures in steps]) for name in FIGURES}
        assert {name: line[name] for name in FIGURES} == pytest.approx(means, rel=1e-6)
        assert (line['state'], line['reason']) == ('healthy', judge(means).reason)


@pytest.mark.parametrize(('logger', 'expected'), [(dict(type='LoggerHook', interval=25), [25, 50]), (None, [50])])
def test_the_interval_is_that_of_the_logger(tmp_path, logger, expected):
    scripted_run(tmp_path, wandering(60), WatchdogHook(), default_hooks=dict(checkpoint=None, logger=logger))
    assert [line['iter'] for line in lines_of(tmp_path)] == expected


def test_a_short_epoch_is_judged_at_its_end(tmp_path):
    script = wandering(9)
    scripted_run(tmp_path, script, WatchdogHook(50), epochs=3, epoch_length=3)
    lines = lines_of(tmp_path)
    assert [line['iter'] for line in lines] == [3, 6, 9]
    assert lines[1]['relative_nce'] == pytest.approx(np.mean([figures['relative_nce'] for figures in script[3:6]]))


def test_what_is_said_and_sent_while_the_verdict_changes(tmp_path):
    # Epochs of 150 steps, verdicts every 30; until step 300 it is early.
    script = [CHANCE] * 150 + [SOUND] * 90 + [CHANCE] * 210 + [dict(SOUND, feature_std=0.02)] * 60 + [SOUND] * 90
    scripted_run(tmp_path, script, WatchdogHook(30), epochs=4, epoch_length=150)
    states = [line['state'] for line in lines_of(tmp_path)]
    assert states == (['starting'] * 5 + ['healthy'] * 3 + ['starting'] + ['not learning'] * 6 + ['collapsing'] * 2 +
                      ['healthy'] * 3)
    reasons = {line['iter']: line['reason'] for line in lines_of(tmp_path)}
    expected = dict.fromkeys([30, 180, 270, 540], 'INFO') | dict.fromkeys([300, 330, 480], 'WARNING')
    assert reasons[330] == reasons[300]  # said again, in the new epoch
    assert said_in(tmp_path) == [
        (expected[iteration], f'Watchdog at iteration {iteration}: {reasons[iteration]}')
        for iteration in sorted(expected)
    ]


@pytest.mark.e2e
def test_a_resumed_run_writes_the_same_lines(tmp_path):
    # In the last epoch the features shrink to below half of what they were, while the loss rises.
    script = wandering(420) + [
        dict(figures, feature_std=figures['feature_std'] * 0.4, relative_nce=0.9) for figures in wandering(60, seed=1)]
    options = dict(script=script, epoch_length=60, hook=WatchdogHook(20))
    checkpoints = dict(checkpoint=dict(type='CheckpointHook', interval=1))
    folders = {name: tmp_path / name for name in ('whole', 'parts')}
    for folder in folders.values():
        folder.mkdir()
    scripted_run(folders['whole'], epochs=8, **options)
    scripted_run(folders['parts'], epochs=7, default_hooks=checkpoints, **options)
    scripted_run(folders['parts'], epochs=8, default_hooks=checkpoints, **options,
                 load_from=str(folders['parts'] / 'epoch_7.pth'), resume=True)

    whole, parts = ([{name: value for name, value in line.items() if name != 'run'} for line in lines_of(folder)]
                    for folder in folders.values())
    assert whole == parts
    assert [line['state'] for line in whole[-4:]] == ['healthy'] + ['collapsing'] * 3
    assert 'drawn together from a feature std of 0.8' in whole[-1]['reason']
    assert said_in(folders['whole']) == said_in(folders['parts']) and len(said_in(folders['whole'])) == 8


def test_a_run_resumed_within_an_epoch_does_not_repeat_itself(tmp_path):
    # The checkpoint is written right after the verdict that has changed.
    options = dict(script=[dict(SOUND, queue_fill=0.5)] * 15 + [SOUND] * 25, hook=WatchdogHook(5))
    by_iter = dict(by_epoch=False, max_iters=20)
    checkpoints = dict(checkpoint=dict(type='CheckpointHook', interval=10, by_epoch=False))
    scripted_run(tmp_path, **options, train_cfg=by_iter, default_hooks=checkpoints)
    scripted_run(tmp_path, **options, train_cfg=dict(by_iter, max_iters=40), default_hooks=checkpoints,
                 load_from=str(tmp_path / 'iter_20.pth'), resume=True)
    assert [line['iter'] for line in lines_of(tmp_path)] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert [sentence.split(' (')[0] for _, sentence in said_in(tmp_path)] == [
        'Watchdog at iteration 5: Starting: the queue is 50% full',
        'Watchdog at iteration 20: Healthy: loss 0.80 of chance, cosine 0.60 to positives, 0.10 to negatives, feature '
        'std 0.90 of 1, queue 100% full, 0% of the anchors without a positive.']


def test_the_first_steps_are_no_measure_for_the_later(tmp_path):
    # Against random keys in the queue the loss is low at first.
    script = [dict(SOUND, relative_nce=0.5, feature_std=1.0)] * 280 + [dict(SOUND, feature_std=0.4)] * 60
    scripted_run(tmp_path, script, WatchdogHook(20))
    assert {line['state'] for line in lines_of(tmp_path)} == {'healthy'}


def test_a_model_without_the_figures_is_left_alone(tmp_path):
    scripted_run(tmp_path, [{}] * 20, WatchdogHook(5))
    assert said_in(tmp_path) == []
    assert not (tmp_path / 'watchdog.jsonl').exists()


def test_a_figure_that_is_no_number_is_null(tmp_path):
    scripted_run(tmp_path, [dict(SOUND, feature_std=math.nan)] * 5, WatchdogHook(5))
    line, = lines_of(tmp_path)
    assert line['feature_std'] is None and line['state'] == 'healthy' and 'feature std' not in line['reason']


def watched_on_this_process(work_dir):
    return scripted_run(work_dir, wandering(6), WatchdogHook(3), epoch_length=12).rank


@pytest.mark.e2e
def test_of_two_processes_one_writes(tmp_path):
    assert on_processes(2, watched_on_this_process, tmp_path) == [0, 1]
    assert [line['iter'] for line in lines_of(tmp_path)] == [3, 6]


class Outputs(Hook):
    """Notes what the model reports at each step."""

    def __init__(self):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        self.steps.append({name: float(value) for name, value in outputs.items()})


def test_clim_is_watched_from_its_own_figures(folder, tmp_path):
    outputs = Outputs()
    runner_of(folder, tmp_path, epochs=2, num_workers=0, hook=hook_cfg(begin=1),
              more_hooks=[WatchdogHook(3), outputs]).train()
    lines = lines_of(tmp_path)
    assert [line['iter'] for line in lines] == [3, 6]
    for line, steps in zip(lines, (outputs.steps[:3], outputs.steps[3:]), strict=True):
        means = {name: np.mean([step[name] for step in steps]) for name in FIGURES}
        assert {name: line[name] for name in FIGURES} == pytest.approx(means, rel=1e-6)
    # Positives begin with the second epoch, as the hook is told; their absence before is no fault.
    assert [line['without_positive'] for line in lines] == [1.0, 0.0]
    assert [line['state'] for line in lines] != ['not learning'] * 2
    assert 'no positive,' not in lines[0]['reason']


def test_clim_whose_neighbours_nobody_refreshes(folder, tmp_path):
    runner_of(folder, tmp_path, num_workers=0, custom_hooks=[WatchdogHook(3)]).train()
    line, = lines_of(tmp_path)
    assert line['state'] == 'not learning' and '100% of the anchors have no positive' in line['reason']


@pytest.mark.parametrize('begins, due', [([], [True] * 4), ([2], [False, False, True, True]),
                                         ([1, 3], [False, False, False, True])])
def test_positives_are_due_from_the_epoch_of_the_first_refresh_on(begins, due):
    hooks = [CenterWiseNeighborHook(dict(pipeline=EXTRACT_PIPELINE), begin=begin) for begin in begins]
    runners = [SimpleNamespace(hooks=[WatchdogHook(), *hooks], epoch=epoch) for epoch in range(4)]
    assert list(map(watchdog_hook._positives_due, runners)) == due


@pytest.mark.parametrize('interval', [0, -1])
def test_an_interval_that_cannot_be(interval):
    with pytest.raises(ConfigError, match='at least 1'):
        WatchdogHook(interval)
