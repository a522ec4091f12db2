"""A small search on each GPU in a process of its own: real processes that die, hang, answer wrongly or rightly."""

import copy
import json
import os
import sys

import pytest

from clim_mm.neighbors.gpu_trial import agrees, gpu_fault, trial


@pytest.fixture(scope='module')
def expected():
    return trial(on_gpu=False)


@pytest.fixture
def answering(tmp_path):
    """A command that prints an answer, and notes which GPU it sees."""

    def command(answer):
        (tmp_path / 'answer').write_text(answer if isinstance(answer, str) else json.dumps(answer))
        code = (f'import os, pathlib; here = pathlib.Path({str(tmp_path)!r}); print("a line before");'
                '(here / ("gpu" + os.environ["CUDA_VISIBLE_DEVICES"])).touch(); print((here / "answer").read_text())')
        return [sys.executable, '-c', code]

    return command


def dying(code):
    return [sys.executable, '-c', code]


def test_gpus_that_find_what_the_cpu_finds_are_sound(answering, expected, tmp_path, monkeypatch):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    assert gpu_fault(2, answering(expected)) is None
    assert {path.name for path in tmp_path.glob('gpu*')} == {'gpu0', 'gpu1'}


def test_of_the_gpus_that_the_process_may_see(answering, expected, tmp_path, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,GPU-5f')
    assert gpu_fault(2, answering(expected)) is None
    assert {path.name for path in tmp_path.glob('gpu*')} == {'gpu3', 'gpuGPU-5f'}


@pytest.mark.parametrize('code, words', [
    ('import os; os.abort()', 'died of SIGABRT: the CPU'),
    ('import os, sys; sys.stderr.write("Faiss assertion failed in a.cu:2; details: CUDA error 209 no kernel image is '
     'available\\nbye\\n"); sys.stderr.flush(); os.abort()',
     'died of SIGABRT (CUDA error 209 no kernel image is available): the CPU clusters and searches. This faiss has no'),
    ('raise RuntimeError("out of memory")', 'ended with status 1 (RuntimeError: out of memory): the CPU'),
    ('import os, signal; os.kill(os.getpid(), signal.SIGKILL)', 'died of SIGKILL'),
    ('print("no JSON")', 'gave no result'),
    ('', 'gave no result'),
    ('print("{}")', 'gave no result'),
])
def test_a_trial_that_dies_or_says_nothing(code, words):
    told = gpu_fault(1, dying(code))
    assert told.startswith('faiss is not used on GPUs, since a small search on GPU 0 ') and words in told
    assert ('requirements/gpu.txt' in told) == ('no kernel image' in code)


def test_a_trial_that_hangs_is_ended(tmp_path):
    code = f'import os, time; open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid())); time.sleep(60)'
    told = gpu_fault(1, dying(code), seconds=0.5)
    assert 'GPU 0 did not end in time' in told
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / 'pid').read_text()), 0)


def test_one_of_several_is_enough(tmp_path, answering, expected, monkeypatch):
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    command = answering(expected)
    told = gpu_fault(3, [*command[:2], command[2] + '; os.environ["CUDA_VISIBLE_DEVICES"] == "1" and os.abort()'])
    assert 'GPU 1 died of SIGABRT' in told


def wrong(result, name, value):
    found = copy.deepcopy(result)
    found[name] = value(found[name])
    return found


@pytest.mark.parametrize('name, value', [
    ('exact', lambda rows: rows[1:] + rows[:1]),  # as from memory that nothing has written
    ('in_lists', lambda rows: [[0] * len(row) for row in rows]),
    ('in_lists', lambda rows: [[-1] * len(row) for row in rows]),
    ('objective', lambda objective: 1.02 * objective),
    ('objective', lambda objective: float('nan')),
    ('objective', lambda objective: 0.0),
])
def test_wrong_answers_are_noticed(answering, expected, name, value):
    assert not agrees(wrong(expected, name, value), expected)
    assert 'finds other neighbours' in gpu_fault(1, answering(wrong(expected, name, value)))


def test_rounding_is_no_disagreement(expected):
    found = wrong(expected, 'objective', lambda objective: 1.001 * objective)
    found['exact'][0] = found['exact'][0][::-1]
    found['exact'][1][-1] = -1
    assert agrees(found, expected)
