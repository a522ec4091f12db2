"""The acceptance on a GPU, at a size of seconds on a CPU: what it tells, that it fails, and that it keeps its time."""

import faulthandler
import json
import os
import sys
import time
from pathlib import Path

import pytest
import torch
from processes import is_running, wait_until

pytestmark = pytest.mark.e2e

ON_CPU = ('tools/benchmarks/gpu_acceptance.py', '--device', 'cpu', '--small')


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / 'tools' / 'benchmarks')


@pytest.fixture
def setting(tmp_path):
    from acceptance.setting import Setting
    return Setting('cpu', True, str(tmp_path))


@pytest.mark.parametrize('part, checks', [
    ('correctness', {'faiss': 5, 'steps': 6, 'views': 8, 'waiting': 1, 'resumed': 1}),
    ('step', {'speed': 8, 'extraction': 5, 'refresh': 5}),
])
def test_each_part_on_the_cpu(run, shell, tmp_path, part, checks):
    words = [*ON_CPU, '--part', part, '--minutes', 5, '--json', tmp_path / 'out.json']
    result = run(*words) if part == 'correctness' else shell(sys.executable, *words)
    assert result.returncode == 0 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    found = json.loads((tmp_path / 'out.json').read_text())
    rows = found['rows']
    assert {check: sum(row['check'] == check for row in rows) for check in checks} == checks, result.stdout
    assert [row['name'] for row in rows if row['ok'] is False] == []
    missing = [row['name'] for row in rows if row['note'].startswith('left out')]
    assert missing == (['GPUs that agree with the CPU on a small search', 'waiting points of a step']
                       if part == 'correctness' else [])
    assert all(row['value'] > 0 for row in rows if row['unit'] in ('samples/s', 'images/s', 'TFLOP/s', 's'))
    assert found['machine']['torch'] and found['settings']['part'] == part and 0 < found['seconds'] < 300
    assert f'{sum(row["ok"] is True for row in rows)} passed, 0 failed, {len(missing)} left out' in result.stdout


@pytest.mark.parametrize('options, words', [
    ([], ['--device cuda cannot be used', 'take a machine with a GPU']),
    (['--device', 'cpu', '--minutes', 0], ['--minutes must be a number above 0']),
    (['--device', 'cpu', '--minutes', 0.001], ['--minutes 0.001 are over before a check could begin']),
])
@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_what_cannot_be_tried_is_said_in_a_sentence(run, options, words):
    result = run(ON_CPU[0], *options)
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and all(word in last for word in words), last


def sound(setting):
    from acceptance.rows import at_most
    yield at_most('one', 1, 2)
    yield at_most('two', 3, 2)


def dying(setting):
    yield from sound(setting)
    faulthandler.disable()
    os.write(2, b'CUDA error 209\n')
    os.abort()


def failing(setting):
    yield from sound(setting)
    raise ValueError('no such\nthing')


def hanging(setting):
    if os.fork() == 0:
        time.sleep(600)
    Path(setting.folder, 'pid').write_text(str(os.getpid()))
    yield from sound(setting)
    time.sleep(600)


def test_a_check_that_dies_or_hangs_costs_its_own_rows_alone(setting):
    from acceptance.in_turn import run_in_turn
    told = []
    begun = time.monotonic()
    checks = [(check.__name__, check, 1.0) for check in (dying, failing, hanging, sound)]
    run_in_turn(checks, setting, begun + 12, lambda name, row: told.append((name, row.ok, row.note)))
    assert time.monotonic() - begun < 12
    assert [(name, ok) for name, ok, _ in told] == [
        ('dying', True), ('dying', False), ('dying', False), ('failing', True), ('failing', False), ('failing', False),
        ('hanging', True), ('hanging', False), ('hanging', None), ('sound', True), ('sound', False)]
    notes = [note for *_, note in told]
    assert notes[2] == 'its process died of SIGABRT: CUDA error 209'
    assert notes[5].endswith('ValueError: no such / thing') and notes[8].startswith('left out: the rest, cut off after')
    group = int(Path(setting.folder, 'pid').read_text())
    wait_until(lambda: not any(is_running(int(path.name)) and os.getpgid(int(path.name)) == group
                               for path in Path('/proc').iterdir() if path.name.isdigit()))


def test_what_no_time_is_left_for_is_told(setting):
    from acceptance.in_turn import run_in_turn
    told = []
    run_in_turn([('sound', sound, 1.0)], setting, time.monotonic() + 1, lambda name, row: told.append(row.note))
    assert told == ['left out: no time was left']


def test_steps_that_differ_fail(setting):
    from acceptance.same_steps import Trained, rows_of
    from mmengine.registry import init_default_scope
    init_default_scope('clim_mm')
    ours, reference = (Trained.of(setting, torch.device('cpu'), torch.float32) for _ in range(2))
    with torch.no_grad():
        ours.model.neck.mlp[0].weight[0, 0] += 1  # taken back by the equal start
    assert [row.ok for row in rows_of(ours, reference, 1, 1e-4, 'float32')] == [True, True]
    ours.wrapper.optimizer.param_groups[0]['lr'] *= 2
    assert [row.ok for row in rows_of(ours, reference, 3, 1e-4, 'float32')] == [False, False]


def test_rows_pass_and_fail_by_their_bounds():
    from acceptance.rows import at_least, at_most, figure, left_out
    nan = float('nan')
    assert [at_most('x', value, 2).ok for value in (2, 2.1, nan)] == [True, False, False]
    assert [at_least('x', value, 2).ok for value in (2, 1.9, nan)] == [True, False, False]
    assert [figure('x', value).ok for value in (2, nan)] == [None, False]
    assert at_most('x', nan, 2).line().startswith('FAIL') and left_out('x', 'y').line().startswith('-')


def test_checkpoints_are_compared_bit_by_bit():
    from acceptance.resumed import differing

    def checkpoint(value=1.0, lr=0.1, table=3):
        return dict(
            state_dict=dict(weight=torch.tensor([value, 2.0])), optimizer=dict(param_groups=[dict(lr=lr)]),
            param_schedulers=[], neighbors=dict(table=torch.tensor([table])), meta=dict(time=time.time()))

    assert differing(checkpoint(), checkpoint()) == []
    assert differing(checkpoint(), checkpoint(1 + 2e-7)) == ['.state_dict.weight']
    assert differing(checkpoint(), checkpoint(lr=0.2, table=4)) == ['.neighbors.table', '.optimizer.param_groups.0.lr']
