"""A study of real trainings: killed, gone on with, and put into a table."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from processes import running, wait_until
from trained import ROOT

pytestmark = pytest.mark.e2e

STUDY = """
_config = 'configs/clim/clim_r18_1xb32-20e_digits.py'
rows = dict(
    moco=dict(config=_config, options={{'default_hooks.neighbors.begin': 1000}}), clim=dict(config=_config))
seeds = [3]
baseline = 'moco'
training = dict(semi=dict(
    config='configs/benchmarks/classification/digits/resnet18_semi-1xb16-steplr-60e_digits-1pct.py',
    options={{'default_hooks.preflight.seconds': 0, 'train_cfg.max_epochs': 20,
             'train_dataloader.dataset.data_root': {root!r}, 'val_dataloader.dataset.data_root': {root!r},
             'train_dataloader.dataset.split': {split!r}}}))
metrics = ['knn_20_top1', 'semi_top1', 'purity', 'acc_kmeans', 'seconds']
comparisons = [('clim', 'moco')]
options = {{'train_cfg.max_epochs': {epochs}, 'default_hooks.preflight.seconds': 0,
           'default_hooks.checkpoint.interval': 1, 'train_dataloader.dataset.dataset.data_root': {root!r}}}
"""


@pytest.fixture
def write(run, few_digits, tmp_path):
    """Write the study file for so many epochs, and give its path."""
    split = str(tmp_path / '1percent.txt')
    made = run('tools/make_label_split.py', few_digits / 'train', '--percent', 1, '--out', split)
    assert made.returncode == 0, made.stdout

    def write_study(epochs):
        path = tmp_path / 'small.py'
        path.write_text(STUDY.format(root=str(few_digits), split=split, epochs=epochs))
        return path

    return write_study


def killed_after_the_first_checkpoint(command, checkpoint):
    """Start it, and kill it with SIGKILL: the training that it has started ends too."""
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: checkpoint.exists() or process.poll() is not None, seconds=300)
        assert checkpoint.exists()
        process.kill()
        wait_until(lambda: not running(str(checkpoint.parent)))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def files_of_runs(work):
    """When each file below a run's folder was written."""
    return {path: path.stat().st_mtime_ns for path in work.glob('*/seed_*/**/*')}


def test_a_study_that_is_killed_goes_on_and_is_not_run_twice(run, write, tmp_path):
    work = tmp_path / 'work'
    command = ['tools/study.py', write(2), '--work-dir', work]
    killed_after_the_first_checkpoint([sys.executable, *command], work / 'moco/seed_3/pretraining/epoch_1.pth')
    assert not (work / 'moco/seed_3/results.json').exists()

    part = run(*command, '--rows', 'clim', '--seeds', 3)
    assert part.returncode == 0 and not (work / 'moco/seed_3/results.json').exists(), 'another machine\'s'
    assert '| **moco** | 0 | -' in part.stdout

    result = run(*command, '--jobs', 2)
    assert result.returncode == 0, result.stdout[-3000:]
    log = (work / 'moco/seed_3/pretraining.log').read_text()
    assert 'Epoch(train) [2]' in log and 'Epoch(train) [1]' not in log, 'goes on from the first epoch'
    rows = {row: json.loads((work / row / 'seed_3/results.json').read_text())['stages'] for row in ('moco', 'clim')}
    assert all(list(stages) == ['pretraining', 'frozen', 'semi'] for stages in rows.values())
    assert rows['moco']['pretraining']['figures'] == {}, 'neither purity nor the seconds of a part'
    assert 0.3 < rows['clim']['pretraining']['figures']['purity'] < 1
    pretraining = rows['clim']['pretraining']
    assert pretraining['figures']['seconds'] == pytest.approx(pretraining['seconds'], abs=0.5)
    assert all(0 < stages['frozen']['figures']['acc_kmeans'] < 1 for stages in rows.values())
    assert all(stages['semi']['figures']['semi_top1'] > 0.15 for stages in rows.values())
    table = (work / 'table.md').read_text()
    assert f'| **clim** | 1 | {rows["clim"]["frozen"]["figures"]["knn_20_top1"]:.3f} |' in table
    assert '| clim over moco | (' in table
    assert table in result.stdout and (work / 'table.png').is_file() and (work / 'comparisons.png').is_file()

    for path in [work / name for name in ('table.md', 'table.png', 'comparisons.png', 'runs.csv')]:
        path.unlink()
    made = files_of_runs(work)
    again = run(*command)
    assert again.returncode == 0 and (work / 'table.md').read_text() == table
    assert len(made) > 10 and files_of_runs(work) == made, 'nothing is trained'

    stored = run(*command[:2], '--from-csv', work / 'runs.csv', '--work-dir', tmp_path / 'other')
    assert stored.returncode == 0 and (tmp_path / 'other/table.md').read_text() == table

    other = run(*command, '--table-only', '--baseline', 'clim')
    assert other.returncode == 0 and '| minus clim |' in (work / 'table.md').read_text()
    none = run(*command, '--table-only', '--baseline', 'simclr')
    assert none.returncode == 1 and 'simclr' in none.stdout.strip().splitlines()[-1]
    assert run(*command, '--table-only').returncode == 0 and (work / 'table.md').read_text() == table

    for wrong in (('--seeds', 3, 4), ('--rows', 'clim', 'simclr')):
        none = run(*command, *wrong)
        assert none.returncode == 1 and 'name some of them' in none.stdout.strip().splitlines()[-1]

    changed = run('tools/study.py', write(3), '--work-dir', work)
    assert changed.returncode == 1 and 'Traceback' not in changed.stdout
    assert 'is another than when' in changed.stdout.strip().splitlines()[-1]
    assert (work / 'table.md').read_text() == table


def test_a_run_that_fails_is_told_with_its_log(run, write, tmp_path):
    path = write(1)
    path.write_text(path.read_text().replace("neighbors.begin': 1000", "neighbors.num_clusters': 10**6"))
    result = run('tools/study.py', path, '--work-dir', tmp_path / 'work')
    assert result.returncode == 1 and 'Traceback' not in result.stdout
    sentence = result.stdout.strip().splitlines()[-1]
    assert 'pretraining of moco, seed 3, has ended with status 1' in sentence and 'num_clusters=1000000' in sentence
    assert 'pretraining.log' in sentence and not (tmp_path / 'work/moco/seed_3/results.json').exists()
    assert not (tmp_path / 'work/clim').exists(), 'no further run begins'
