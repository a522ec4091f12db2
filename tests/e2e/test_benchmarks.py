"""The benchmarks at a size of seconds: that they measure what they say, and keep what they find."""

import json
import shutil
import sys

import pytest
from trained import ROOT

pytestmark = pytest.mark.e2e


@pytest.fixture
def figures_of(shell, tmp_path):
    """Run a benchmark: ``figures_of(name, *arguments)``, what it prints, and its figures."""

    def figures(name, *arguments):
        result = shell(sys.executable, f'tools/benchmarks/{name}.py', *arguments, '--json', tmp_path / 'out.json')
        assert result.returncode == 0, result.stdout[-3000:]
        return result.stdout, json.loads((tmp_path / 'out.json').read_text())

    return figures


def test_refresh(figures_of):
    printed, figures = figures_of('refresh', '--family', 'all', '--num', 20000, '--dim', 32, '--clusters', 200,
                                  '--neighbors', 10, '--groups', 50, '--queries', 200)
    assert figures['machine']['cores'] >= 1 and figures['settings']['num'] == 20000
    assert set(figures['families']) == {'even', 'unequal', 'uniform'}
    for family in figures['families'].values():
        for name in ('first', 'later'):
            row = family[name]
            assert row['recall'] >= 0.99 and row['center_wise_agreement'] >= 0.98
            assert row['objective_over_stock'] < 1.01
            assert f'{name} refresh: {row["seconds"]:.0f} s' in printed
            assert row['faster'] == pytest.approx(family['stock_seconds'] / row['seconds'])
    # The features by list stand beside them, and neighbours and positives: 80 and 40 bytes for each 128 of features.
    assert figures['families']['even']['first']['peak_over_features'] > 2


def test_pipeline(figures_of):
    printed, figures = figures_of('pipeline', '--samples', 3, '--pairs', 2, '--workers', 1)
    assert set(figures['ratios']) == {'clim', 'decoding two images', 'moco v2 (mmselfsup) (again)'}
    assert all(len(seconds) == 2 for seconds in figures['seconds'].values())
    # Two decodes are a part of a sample; a sample of eight views is more than them.
    assert 0 < figures['share_of_decoding'] < 1
    assert figures['samples_a_second_by_workers']['1'] > 0
    assert 'samples a second and core' in printed


def test_decoders(figures_of):
    _, figures = figures_of('decoders', '--images', 4, '--pairs', 2)
    assert {'torchvision', 'pillow', 'cv2 (again)'} <= set(figures['ratios'])
    assert figures['images'] == 4


def test_bank(figures_of, few_digits, tmp_path):
    (tmp_path / 'clim_r18_1xb32-20e_digits.py').write_text(f"""
_base_ = '{ROOT}/configs/clim/clim_r18_1xb32-20e_digits.py'
train_dataloader = dict(dataset=dict(dataset=dict(data_root={str(few_digits)!r})))
default_hooks = dict(preflight=dict(seconds=0), neighbors=dict(interval=2))
""")
    printed, figures = figures_of(
        'bank', tmp_path / 'clim_r18_1xb32-20e_digits.py', '--epochs', 3, '--work-dir', tmp_path / 'bank')
    row, = figures['refreshes']
    assert row['epoch'] == 2 and row['never_seen'] < 0.01
    assert row['points'] == pytest.approx(100 * (row['purity_bank'] - row['purity_extracted']))
    # Ten classes: a key knows more than chance; an extraction clustered once more finds nearly the same.
    assert row['purity_bank'] > 0.15 and row['agreement_control'] > 0.5 and abs(row['points_control']) < 5
    assert 'extracted' in printed


def test_extraction(figures_of):
    printed, figures = figures_of('extraction', '--images', 4, '--batch', 2, '--pairs', 1)
    assert figures['settings']['images'] == 4
    assert all(min(seconds) > 0 for seconds in figures['seconds'].values())
    assert 'images a second' in printed


def test_device_views(figures_of):
    printed, figures = figures_of('device_views', '--images', 3, '--batch', 2, '--repeats', 2, '--device', 'cpu')
    assert 'ms a sample to finish its views on cpu' in printed
    assert len(figures['seconds']) == 2 and min(figures['seconds']) > 0
    for name, of in figures['differences'].items():  # rounding, and OpenCV's hue of 8 bits
        assert 0 < of['device']['mean'] < 2 and of['worker']['mean'] < 2, name


@pytest.mark.parametrize('script, options, words', [
    ('pipeline', ['--workers', 0], '--workers must be a whole number of at least 1'),
    ('pipeline', ['--samples', 0], '--samples must be a whole number of at least 1'),
    ('device_views', ['--device', 'nowhere'], '--device nowhere cannot be used here'),
])
def test_what_cannot_be_measured_is_said_first(run, script, options, words):
    result = run(f'tools/benchmarks/{script}.py', *options)
    assert result.returncode == 1 and words in result.stdout and 'Traceback' not in result.stdout


def test_a_folder_without_jpegs_is_told(run, tmp_path):
    result = run('tools/benchmarks/decoders.py', '--folder', tmp_path)
    assert result.returncode != 0
    assert f'{tmp_path} holds no JPEG' in result.stdout and 'Traceback' not in result.stdout


def test_peers(run, few_digits, tmp_path):
    """What this project has in it: the peers' environment is not here."""
    command = ['tools/benchmarks/peers.py', few_digits, '--epochs', 2, '--seeds', 0, '--workers', 1,
               '--work-dir', tmp_path]
    missing = run(*command, '--peer-python', tmp_path / 'python')
    assert missing.returncode == 1 and 'setup_peers.sh' in missing.stdout.strip().splitlines()[-1]
    result = run(*command, '--peers')
    assert result.returncode == 0, result.stdout[-3000:]
    table = (tmp_path / 'table.md').read_text()
    assert table in result.stdout and '| **ours** | 1 |' in table
    figures = dict(line.split(',')[2:] for line in (tmp_path / 'runs.csv').read_text().splitlines()[1:])
    assert float(figures['images_per_second']) > 0 and float(figures['of_ours']) == 1
    assert 0.3 < float(figures['knn_20_top1']) <= 1, 'the features are those of this training'
    job = json.loads((tmp_path / 'ours/seed_0/job.json').read_text())
    assert job['bn_splits'] == 2 and job['epochs'] == 2 and job['lr'] == 0.06

    # Of a peer that trained another network, nothing is compared.
    other = tmp_path / 'lightly/seed_0'
    shutil.copytree(tmp_path / 'ours/seed_0', other)
    figures = json.loads((other / 'figures.json').read_text())
    (other / 'figures.json').write_text(json.dumps(dict(figures, parameters=1)))
    unequal = run(*command, '--peers', 'lightly', '--peer-python', sys.executable)
    assert unequal.returncode == 1 and 'compare the same' in unequal.stdout.strip().splitlines()[-1]
