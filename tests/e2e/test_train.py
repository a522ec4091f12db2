"""The main config through the tools, as a user runs it: one process, several, resumed, and refused."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from pure_python_mmcv import write_pure_python_mmcv
from trained import IN1K, SLIM, SMALL

pytestmark = pytest.mark.e2e


def table_of(work_dir, epoch):
    """The neighbour table of a checkpoint: version and positives."""
    state = torch.load(work_dir / f'epoch_{epoch}.pth', weights_only=False)['neighbors']['table']
    return int(state['version']), state['positives'].numpy()


def refreshes_of(work_dir):
    return [json.loads(line) for line in (work_dir / 'neighbors.jsonl').read_text().splitlines()]


@pytest.fixture(scope='module')
def small(trained):
    """Two epochs in one process."""
    return trained('small')


def test_one_process_trains_and_prints_the_derived_sizes(small):
    assert 'Neighbours of 203 images: 12 clusters, 5 neighbours, at most' in small.output
    assert 'WARNING - Failed to search registry' not in small.output
    version, positives = table_of(small.work_dir, 1)
    assert version == 1
    assert (positives != np.arange(203)[:, None]).all()
    refreshes = refreshes_of(small.work_dir)
    assert [refresh['epoch'] for refresh in refreshes] == [0, 1]
    assert 0 < refreshes[0]['purity_center_wise'] <= 1


def test_the_table_does_not_depend_on_the_number_of_processes(train, small, tmp_path):
    result = train(tmp_path, 3)
    assert result.returncode == 0, result.stdout[-3000:]
    version, positives = table_of(tmp_path, 1)
    assert version == 1
    np.testing.assert_array_equal(positives, table_of(small.work_dir, 1)[1])


def test_two_processes_of_the_shell_script_resume(train, small, tmp_path):
    begun = train(tmp_path, 2, from_shell=True)
    assert begun.returncode == 0, begun.stdout[-3000:]
    np.testing.assert_array_equal(table_of(tmp_path, 1)[1], table_of(small.work_dir, 1)[1])
    result = train(tmp_path, 2, '--resume', epochs=2)
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'resumed epoch: 1' in result.stdout
    assert table_of(tmp_path, 2)[0] == 2
    assert [(refresh['epoch'], refresh['version']) for refresh in refreshes_of(tmp_path)] == [(0, 1), (1, 2)]


def test_two_torchrun_agents_stand_for_two_machines(train, small, free_port, tmp_path):
    port = free_port()
    with ThreadPoolExecutor() as agents:
        results = list(agents.map(lambda rank: train(
            tmp_path, 1, from_shell=True, NNODES='2', NODE_RANK=rank, PORT=port), ['0', '1']))
    assert [result.returncode for result in results] == [0, 0], results[0].stdout[-3000:]
    np.testing.assert_array_equal(table_of(tmp_path, 1)[1], table_of(small.work_dir, 1)[1])


def test_a_second_run_in_the_same_folder_keeps_the_first_log(train, small, tmp_path):
    shutil.copytree(small.work_dir, tmp_path / 'work')
    assert train(tmp_path / 'work', 1).returncode == 0
    assert len({refresh['run'] for refresh in refreshes_of(tmp_path / 'work')}) == 2


@pytest.mark.parametrize(('options', 'words'), [
    (['train_dataloader.dataset.dataset.data_root=nowhere'], ['nowhere', 'does not exist', 'data_root']),
    (['default_hooks.neighbors.num_clusters=500'], ['num_clusters=500', '203 images', 'None']),
    (['default_hooks.neighbors.num_neighbors=203'], ['num_neighbors=203', '203 images']),
    (['train_dataloader.dataset.pipeline.0.view.0.resolutions=(48,2)'], ['resolutions', '(48, 2)']),
    (['train_dataloader.dataset.pipeline.1.alpha=0'], ['alpha', '0']),
    (['model.queue_len=4'], ['queue_len=4', '8 keys']),
    (['default_hooks.neighbors=None'], ['NeighborPairs', 'CenterWiseNeighborHook']),
    (['model.type=mmselfsup.MoCo', 'model.head.type=mmselfsup.ContrastiveHead',
      'model.head.loss.type=mmcls.CrossEntropyLoss'], ['needs queues of keys', 'MoCo', 'model.type']),
    (['optim_wrapper.type=AmpOptimWrapper'], ['AmpOptimizerWrapper', 'only available', 'gpu']),
])
def test_bad_settings_end_in_one_sentence_before_any_work(train, tmp_path, options, words):
    result = train(tmp_path, 1, options=options)
    assert result.returncode == 1
    assert 'Traceback' not in result.stdout
    sentence = result.stdout.strip().splitlines()[-1]
    assert sentence.startswith('Error: ')
    assert all(word in sentence for word in words), sentence
    assert 'Neighbours refreshed' not in result.stdout


def test_mmdetection_without_its_operators_ends_in_a_sentence(shell, imagenet_like, tmp_path):
    write_pure_python_mmcv(tmp_path)
    result = shell(
        sys.executable, 'tools/train.py', IN1K, '--work-dir', tmp_path / 'work', '--cfg-options', *SMALL,
        f'train_dataloader.dataset.dataset.data_root={imagenet_like}', 'default_scope=mmdet',
        PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and 'Traceback' not in result.stdout
    sentence = result.stdout.strip().splitlines()[-1]
    assert sentence.startswith('Error: ') and 'compiled operators' in sentence and 'tools/setup_det.sh' in sentence


def test_an_unreadable_image_is_quarantined_or_stops_the_run(train, imagenet_like, tmp_path):
    images = shutil.copytree(imagenet_like, tmp_path / 'images')
    bad = images / 'train' / 'n00000000' / 'zzz.JPEG'
    bad.write_bytes(next((images / 'train' / 'n00000001').glob('*.JPEG')).read_bytes()[:40])
    goes_on = train(tmp_path / 'goes_on', 1, images=images)
    stops = train(tmp_path / 'stops', 1, images=images, options=['train_dataloader.dataset.max_unreadable=0'])
    assert goes_on.returncode == 0, goes_on.stdout[-3000:]
    sample_idx, path, reason = (tmp_path / 'goes_on' / 'quarantine.txt').read_text().split('\t')
    assert path == str(bad) and 'cut off or damaged' in reason
    _, positives = table_of(tmp_path / 'goes_on', 1)
    assert (positives[int(sample_idx)] == -1).all() and int(sample_idx) not in positives

    assert stops.returncode == 1
    sentence = stops.stdout.strip().splitlines()[-1]
    assert sentence.startswith(f'Error: 1 of 204 images cannot be read (the first is {bad}: ')
    assert (tmp_path / 'stops' / 'quarantine.txt').read_text().split('\t')[1] == str(bad)


def test_a_config_that_is_not_there(run):
    result = run('tools/train.py', 'configs/clim/nothing.py')
    assert result.returncode == 1
    assert result.stdout.strip().splitlines()[-1].startswith('Error: There is no config configs/clim/nothing.py')


def test_the_baseline_trains(run, imagenet_like, tmp_path):
    result = run(
        'tools/train.py', 'configs/mocov2/mocov2_r50_16xb32-200e_in1k.py', '--work-dir', tmp_path,
        '--cfg-options', f'train_dataloader.dataset.dataset.data_root={imagenet_like}', *SLIM,
        'train_dataloader.batch_size=8', 'train_dataloader.num_workers=1',
        'train_dataloader.dataset.pipeline.1.transforms.0.0.size=48',
        'train_cfg.max_epochs=1')
    assert result.returncode == 0, result.stdout[-3000:]
    assert (tmp_path / 'epoch_1.pth').is_file()
