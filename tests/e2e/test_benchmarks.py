"""The benchmarks at a size of seconds: that they measure what they say, and keep what they find."""

import json
import sys

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture
def figures_of(run, tmp_path):
    """Run a benchmark: ``figures_of(name, *arguments)``, what it prints, and its figures."""

    def figures(name, *arguments):
        result = run(sys.executable, f'tools/benchmarks/{name}.py', *arguments, '--json', tmp_path / 'out.json')
        assert result.returncode == 0, result.stdout[-3000:]
        return result.stdout, json.loads((tmp_path / 'out.json').read_text())

    return figures


def test_refresh(figures_of):
    printed, figures = figures_of(
        'refresh', '--num', 20000, '--dim', 32, '--clusters', 200, '--neighbors', 10, '--groups', 50, '--queries', 200)
    assert figures['machine']['cores'] >= 1 and figures['settings']['num'] == 20000
    for name in ('first', 'later'):
        row = figures[name]
        assert row['recall'] >= 0.99 and row['center_wise_agreement'] >= 0.98
        assert row['objective_over_stock'] == pytest.approx(1, abs=0.03)
        assert f'{name} refresh: {row["seconds"]:.0f} s' in printed
        assert row['faster'] == pytest.approx(figures['stock_seconds'] / row['seconds'])
    assert figures['first']['peak_over_features'] >= 1


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


def test_a_folder_without_jpegs_is_told(run, tmp_path):
    result = run(sys.executable, 'tools/benchmarks/decoders.py', '--folder', tmp_path)
    assert result.returncode != 0
    assert f'{tmp_path} holds no JPEG' in result.stdout and 'Traceback' not in result.stdout
