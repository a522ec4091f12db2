"""A run that is resumed on fewer processes, for longer and at another learning rate, as the README says."""

import math
import shutil

import pytest

from clim_mm.checkpoints import read_checkpoint

pytestmark = pytest.mark.e2e


def values_in(output, setting):
    """What the table says of a setting: checkpoint, config, in force."""
    (line, ) = [line for line in output.splitlines() if line.startswith(f'  {setting}  ')]
    return line[len(setting) + 2:].split()


@pytest.fixture(scope='module')
def on_two(train, tmp_path_factory):
    """The work dir of one epoch on two processes."""
    folder = tmp_path_factory.mktemp('two')
    ended = train(folder, 2)
    assert ended.returncode == 0, ended.stdout[-3000:]
    return folder


def test_fewer_processes_more_epochs_and_a_scaled_rate(train, on_two, tmp_path):
    work_dir = shutil.copytree(on_two, tmp_path / 'work')
    resumed = train(work_dir, 1, '--resume', epochs=3, options=['optim_wrapper.optimizer.lr=0.03', 'randomness.seed=5'])
    assert resumed.returncode == 0, resumed.stdout[-3000:]
    assert values_in(resumed.stdout, 'processes') == ['2', '1', '1']
    assert values_in(resumed.stdout, 'optim_wrapper.optimizer.lr') == ['0.06', '0.03', '0.03']
    assert values_in(resumed.stdout, 'train_cfg.max_epochs') == ['1', '3', '3']
    assert values_in(resumed.stdout, 'randomness.seed') == ['0', '5', '5']
    in_all = [line for line in resumed.stdout.splitlines() if ' other settings equal' in line]
    table = resumed.stdout.partition('  in force\n')[2].partition(in_all[0])[0]
    assert {line.split()[0] for line in table.splitlines()} <= {
        'processes', 'optim_wrapper.optimizer.lr', 'train_cfg.max_epochs', 'randomness.seed', 'lr',
        'param_scheduler.0.T_max', 'param_scheduler.0.end'}, 'nothing else differs'

    saved = read_checkpoint(work_dir / 'epoch_3.pth')
    assert saved['meta']['seed'] == 5 and saved['meta']['processes'] == 1
    assert saved['optimizer']['param_groups'][0]['initial_lr'] == 0.03
    rate = read_checkpoint(work_dir / 'epoch_2.pth')['optimizer']['param_groups'][0]['lr']
    assert rate == pytest.approx(0.015 * (1 + math.cos(math.pi * 2 / 3)))
    (copy, ) = work_dir.glob('*.py')
    assert 'lr=0.03' in copy.read_text() and 'seed=5' in copy.read_text()


def test_a_finished_run_says_so_and_ends_well(train, on_two, tmp_path):
    work_dir = shutil.copytree(on_two, tmp_path / 'work')
    before = (work_dir / 'epoch_1.pth').read_bytes()
    ended = train(work_dir, 1, '--resume', epochs=1)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert 'The training is finished: the checkpoint' in ended.stdout
    assert (work_dir / 'epoch_1.pth').read_bytes() == before


def test_another_optimizer_ends_in_a_sentence(train, on_two, tmp_path):
    work_dir = shutil.copytree(on_two, tmp_path / 'work')
    refused = train(work_dir, 1, '--resume', epochs=3, options=[f'optim_wrapper.optimizer.{setting}' for setting in (
        '_delete_=True', 'type=AdamW', 'lr=1e-3')])
    assert refused.returncode == 1
    assert refused.stdout.strip().splitlines()[-1].startswith(
        f'Error: The checkpoint {work_dir}/epoch_1.pth was trained with SGD, whose state is of no use to AdamW: resume')
