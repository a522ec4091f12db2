"""The preflight as a user runs it: on the configs, with what is wrong in them, and nothing left behind."""

import json

import pytest
from trained import IN1K, SLIM, SMALL

pytestmark = pytest.mark.e2e

MOCO = 'configs/mocov2/mocov2_r50_16xb32-200e_in1k.py'


@pytest.fixture
def preflight(run, imagenet_like, tmp_path):
    """Plan the small main config on the generated folder: ``preflight(*arguments, options=...)``."""

    def plan(*arguments, options=()):
        data_root = f'train_dataloader.dataset.dataset.data_root={imagenet_like}'
        return run(
            'tools/preflight.py', IN1K, '--work-dir', tmp_path / 'work', *arguments, '--cfg-options',
            *SMALL, data_root, *options)

    return plan


def verdict(result):
    """What looks wrong, on one line."""
    return ' '.join(result.stdout.partition('Looks wrong:')[2].split())


def test_the_plan_of_a_training(preflight, tmp_path):
    result = preflight('--json', tmp_path / 'plan.json', options=['train_cfg.max_epochs=3'])
    assert result.returncode == 0, result.stdout[-3000:]
    before, _, table = result.stdout.partition('Preflight of clim_r50_16xb32-1200e_in1k\n')
    assert table and ' - INFO - ' not in result.stdout, 'the log of the preparations is not what was asked for'
    assert ' - WARNING - ' not in before
    assert 'N = 203; ' in result.stdout and 'samples made: no unreadable images' in result.stdout
    assert 'm = 12 clusters, k = 5 neighbours (exact)' in result.stdout
    assert '3 of 25 steps' in result.stdout
    assert 'learning rate 0.06 is 64 times the 0.000937 of the rule' in verdict(result)
    assert 'set model.momentum=' in verdict(result), '1000 steps of 75'
    plan = json.loads((tmp_path / 'plan.json').read_text())
    assert plan['settings']['steps'] == 25 and plan['measured']['compute'] > 0
    assert {'lr', 'momentum'} <= {finding['name'] for finding in plan['findings']}
    assert sorted(path.name for path in tmp_path.iterdir()) == ['plan.json'], 'no work dir was made'


def test_the_processes_that_are_planned(preflight):
    result = preflight('--processes', 3, options=['default_hooks.preflight.seconds=0'])  # off for trainings
    assert result.returncode == 0, result.stdout[-3000:]
    assert '8 in each process, 24 for an optimizer step' in result.stdout and 'of 8 steps' in result.stdout


@pytest.mark.parametrize('options, status', [
    (['optim_wrapper.optimizer.lr=0.0009375', 'model.momentum=0.9', 'default_hooks.neighbors.interval=1000',
      'train_cfg.max_epochs=3'], 0),
    (['train_cfg.max_epochs=2'], 1),
])
def test_strict(preflight, options, status):
    result = preflight('--strict', options=options)
    assert result.returncode == status, result.stdout[-3000:]
    assert ('Looks wrong:' in result.stdout) == bool(status)


@pytest.mark.parametrize('options, words', [
    (['train_dataloader.dataset.dataset.data_root=nowhere'], ['nowhere', 'does not exist']),
    (['default_hooks.neighbors.num_clusters=500'], ['num_clusters=500', '203 images']),
    (['model.queue_len=4'], ['queue_len=4', '8 keys']),
])
def test_what_cannot_be_planned_is_said_in_a_sentence(preflight, tmp_path, options, words):
    result = preflight(options=options)
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    sentence = result.stdout.strip().splitlines()[-1]
    assert sentence.startswith('Error: ') and all(word in sentence for word in words), sentence
    assert list(tmp_path.iterdir()) == []


def small_baseline(run, imagenet_like, *arguments, options=()):
    """Plan MoCo v2, small, on the generated folder."""
    return run(
        'tools/preflight.py', MOCO, *arguments, '--cfg-options',
        f'train_dataloader.dataset.dataset.data_root={imagenet_like}', *SLIM, 'train_dataloader.batch_size=8',
        'train_dataloader.num_workers=1', 'train_dataloader.dataset.pipeline.1.transforms.0.0.size=48', *options)


def test_a_training_by_iterations(run, imagenet_like):
    options = ['train_cfg._delete_=True', 'train_cfg.type=IterBasedTrainLoop', 'train_cfg.max_iters=3']
    result = small_baseline(run, imagenet_like, options=options)
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    sentence = result.stdout.strip().splitlines()[-1]
    assert sentence.startswith('Error: ') and 'train_cfg=dict(type="EpochBasedTrainLoop"' in sentence


def test_no_config(run):
    result = run('tools/preflight.py', 'configs/clim/nothing.py')
    assert result.returncode == 1
    assert result.stdout.strip().splitlines()[-1].startswith('Error: There is no config configs/clim/nothing.py')


def test_the_baseline(run, imagenet_like, tmp_path):
    result = small_baseline(run, imagenet_like, '--work-dir', tmp_path / 'work', '--processes', 2)
    assert result.returncode == 0, result.stdout[-3000:]
    assert 'neighbours        none' in result.stdout and 'time of a refresh' not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_training_starts_with_its_plan(train, tmp_path):
    result = train(tmp_path, 2, options=['default_hooks.preflight.seconds=2'])  # off in the other trainings
    assert result.returncode == 0, result.stdout[-3000:]
    start = result.stdout.index('Preflight of ')
    assert start < result.stdout.index('Epoch(train)') and result.stdout.count('Preflight of ') == 1
    assert '8 in each process, 16 for an optimizer step' in result.stdout[start:]
