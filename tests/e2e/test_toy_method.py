"""A method of somebody else's, in tests/toy_method: it has what every method has, without a line in the package."""

import json
import shutil

import pytest
import torch
from forked import ROOT

pytestmark = pytest.mark.e2e

SIMCLR, NEIGHBORS = 'toy_simclr_digits', 'toy_neighbors_digits'
EPOCHS = 2


@pytest.fixture(scope='module')
def few_digits(digits, tmp_path_factory):
    """Some of the digits, of which one training image is cut off."""
    root = tmp_path_factory.mktemp('images')
    for folder in sorted(digits.glob('*/*')):
        copies = root / folder.relative_to(digits)
        copies.mkdir(parents=True)
        for image in sorted(path for path in folder.iterdir() if path.is_file())[:20]:
            shutil.copy(image, copies)
    bad = sorted((root / 'train').glob('*/*'))[7]
    bad.write_bytes(bad.read_bytes()[:40])
    return root, bad


@pytest.fixture(scope='module')
def train(run, few_digits):
    """Train one of the configs: ``train(name, work_dir, *arguments)``."""

    def train_toy(name, work_dir, *arguments):
        ended = run(
            'tools/train.py', f'tests/toy_method/{name}.py', '--work-dir', work_dir, *arguments, '--cfg-options',
            f'train_dataloader.dataset.dataset.data_root={few_digits[0]}', f'train_cfg.max_epochs={EPOCHS}',
            'default_hooks.checkpoint.interval=1', 'default_hooks.preflight.seconds=1')
        assert ended.returncode == 0, ended.stdout[-3000:]
        return ended.stdout

    return train_toy


@pytest.fixture(scope='module', params=[SIMCLR, NEIGHBORS])
def trained(request, train, tmp_path_factory):
    """The config's name, its work dir, and what the training has printed."""
    work_dir = tmp_path_factory.mktemp(request.param)
    return request.param, work_dir, train(request.param, work_dir)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def state_of(work_dir):
    return torch.load(work_dir / f'epoch_{EPOCHS}.pth', weights_only=False, map_location='cpu')


def test_its_parts_are_small():
    for name, most in [('algorithm.py', 50), (f'{SIMCLR}.py', 25), (f'{NEIGHBORS}.py', 25)]:
        assert len((ROOT / 'tests/toy_method' / name).read_text().splitlines()) <= most


def test_it_resumes_as_if_undisturbed(trained, train, tmp_path):
    name, work_dir, _ = trained
    shutil.copy(work_dir / 'epoch_1.pth', tmp_path)
    assert 'resumed epoch: 1' in train(name, tmp_path, '--resume', tmp_path / 'epoch_1.pth')
    undisturbed, resumed = state_of(work_dir), state_of(tmp_path)
    for key in ['state_dict', *(['neighbors'] if name == NEIGHBORS else [])]:
        torch.testing.assert_close(resumed[key], undisturbed[key], rtol=0, atol=0)
    torch.testing.assert_close(resumed['optimizer']['state'], undisturbed['optimizer']['state'], rtol=0, atol=0)


def test_the_unreadable_image_is_in_quarantine(trained, few_digits):
    _, path, reason = (trained[1] / 'quarantine.txt').read_text().split('\t')
    assert path == str(few_digits[1]) and reason


def test_neighbours_are_refreshed_where_it_has_them(trained):
    name, work_dir, output = trained
    assert ('Neighbours refreshed' in output) == (work_dir / 'neighbors.jsonl').exists() == (name == NEIGHBORS)
    if name == NEIGHBORS:
        assert [refresh['epoch'] for refresh in lines_of(work_dir / 'neighbors.jsonl')] == [*range(EPOCHS)]
        assert int(state_of(work_dir)['neighbors']['table']['version']) == EPOCHS


def test_preflight_and_watchdog_speak_of_it(trained):
    name, work_dir, output = trained
    plan = output.partition(f'Preflight of {name}\n')[2].partition('mmengine - ')[0]
    assert 'time of a step    not measured' not in plan and 'neighbours ' in plan
    assert ('clusters' in plan) == (name == NEIGHBORS)
    assert 'queue' not in plan and 'momentum encoder' not in plan
    verdicts = lines_of(work_dir / 'watchdog.jsonl')
    assert [verdict['epoch'] for verdict in verdicts] == [*range(EPOCHS)]
    assert all(verdict['state'] in ('starting', 'healthy') and 'of chance' in verdict['reason'] for verdict in verdicts)
    assert all(0 < verdict['relative_nce'] and 0 < verdict['feature_std'] for verdict in verdicts)


def test_preflight_compares_its_learning_rate(run, few_digits):
    ended = run('tools/preflight.py', f'tests/toy_method/{SIMCLR}.py', '--cfg-options',
                'optim_wrapper.optimizer.lr=0.2', f'train_dataloader.dataset.dataset.data_root={few_digits[0]}',
                'default_hooks.preflight.seconds=1')
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert 'is 10 times the 0.02 of the rule 0.02 x images per step / 32' in ' '.join(ended.stdout.split())


def test_it_is_evaluated(trained, run, digits, tmp_path):
    name, work_dir, _ = trained
    ended = run('tools/evaluate.py', 'knn', f'tests/toy_method/{name}.py', work_dir / f'epoch_{EPOCHS}.pth',
                '--json', tmp_path / 'figures.json', '--cfg-options',
                f'train_dataloader.dataset.dataset.data_root={digits}')
    assert ended.returncode == 0, ended.stdout[-3000:]
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert 0.1 < next(value for key, value in figures.items() if key.endswith('_top1')) <= 1
