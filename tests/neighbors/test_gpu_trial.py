"""A small search on the GPUs in a process of its own: real processes that die, hang, answer wrongly or rightly."""

import os
import sys

import numpy as np
import pytest

from clim_mm.neighbors.gpu_trial import agrees, gpu_fault, trial

ON_TWO_GPUS = '''
import faiss
from clim_mm.neighbors import gpu_trial
faiss.get_num_gpus, expected = lambda: 2, gpu_trial.trial(None)
gpu_trial.trial = lambda gpu: {}
gpu_trial.main()
'''


@pytest.fixture(scope='module')
def expected():
    return trial(None)


def running(code):
    return [sys.executable, '-c', code]


@pytest.mark.e2e
def test_gpus_that_find_what_the_cpu_finds_are_sound():
    assert gpu_fault(running(ON_TWO_GPUS.format('expected'))) is None


@pytest.mark.e2e
def test_one_that_finds_something_else_is_named():
    wrong = 'expected if gpu != 1 else expected[::-1]'
    told = gpu_fault(running(ON_TWO_GPUS.format(wrong)))
    assert 'GPU 1 finds other neighbours than the CPU' in told


@pytest.mark.parametrize('code, words', [
    ('import os; os.abort()', 'ended with status -6 (no word): the CPU'),
    ('import os, sys; sys.stderr.write("details: CUDA error 209\\nbye\\n"); sys.stderr.flush(); os.abort()',
     'ended with status -6 (details: CUDA error 209 bye): the CPU clusters and searches.'),
    ('raise RuntimeError("out of memory")', 'RuntimeError: out of memory): the CPU'),
    ('print("something else")', 'ended with status 0 (no word)'),
])
def test_a_trial_that_dies_or_says_nothing(code, words):
    told = gpu_fault(running(code))
    assert told.startswith('faiss is not used on GPUs, since a small search there ') and words in told


def test_a_trial_that_hangs_is_ended(tmp_path):
    code = f'import os, time; open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid())); time.sleep(60)'
    assert 'did not end in time' in gpu_fault(running(code), seconds=0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / 'pid').read_text()), 0)


@pytest.mark.parametrize('wrong', [
    lambda rows: np.roll(rows, 1, axis=0),  # as from memory that nothing has written
    np.zeros_like,
    lambda rows: np.full_like(rows, -1),
])
def test_wrong_answers_are_noticed(expected, wrong):
    assert not agrees(wrong(expected), expected)


def test_rounding_is_no_disagreement(expected):
    found = expected.copy()
    found[0] = found[0][::-1]
    found[1][-1] = -1
    assert agrees(found, expected)
