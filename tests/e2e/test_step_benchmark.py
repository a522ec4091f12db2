"""The step's benchmark on the digits' small network."""

import json
import sys

import pytest

pytestmark = pytest.mark.e2e

SMALL = [
    'tools/benchmarks/step.py', '--config', 'configs/clim/clim_r18_1xb32-20e_digits.py', '--batch', 8, '--queue', 256,
    '--pairs', 2, '--threads', 1, '--device', 'cpu'
]


@pytest.mark.parametrize('options', [[], ['--amp', '--channels-last']])
def test_the_figures(run, shell, tmp_path, options):
    words = [*SMALL, '--resolutions', 16, '--resolutions', 16, 12, '--json', tmp_path / 'step.json', *options]
    result = run(*words) if options else shell(sys.executable, *words)
    assert result.returncode == 0, result.stdout[-3000:]
    figures = json.loads((tmp_path / 'step.json').read_text())
    rival = 'moco v2 (mmselfsup)'
    names = [f'{name} {setting}' for setting in ('16', '16+12') for name in ('clim', 'encoders alone', 'own work')]
    assert list(figures['seconds']) == [rival, *names, f'{rival} (again)']
    assert all(len(values) == 2 and min(values) > 0 for values in figures['seconds'].values())
    assert set(figures['ratios']) == {*names, f'{rival} (again)'}
    # 5 forwards of an image a resolution, where MoCo v2 has 4: 5/4, and 5/4 (1 + (12/16)^2).
    assert figures['floors'] == {'16': 1.25, '16+12': 1.953125}
    for setting in ('16', '16+12'):
        shares = sorted(own / step for own, step in zip(
            figures['seconds'][f'own work {setting}'], figures['seconds'][f'clim {setting}'], strict=True))
        assert figures['own_shares'][setting]['direct'] == pytest.approx(sum(shares) / 2)
        assert 0 < shares[0] < 1
    assert figures['settings']['resolutions'] == [[16], [16, 12]] and figures['machine']['torch']


@pytest.mark.parametrize('options, words', [
    (['--queue', 100], '--queue 100 must be a multiple of --batch 8'),
    (['--resolutions', 12, 16], '--resolutions must begin with the largest'),
    (['--device', 'nowhere'], '--device nowhere cannot be used here'),
    (['--batch', 1], '--batch must be a whole number of at least 2'),
])
def test_what_cannot_be_measured_is_said_in_a_sentence(run, options, words):
    result = run(*SMALL, *options)
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and words in last, last
