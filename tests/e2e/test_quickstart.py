"""The quickstart, as the README tells a new user to run it."""

import json

import pytest
from PIL import Image
from trained import ROOT

pytestmark = pytest.mark.e2e


def test_quickstart(shell):
    result = shell('bash', 'tools/quickstart.sh', timeout=1200)
    assert result.returncode == 0, result.stdout[-3000:]
    folder = ROOT / 'work_dirs' / 'quickstart'
    summary = json.loads((folder / 'summary.json').read_text())
    top1 = summary['knn_top1']
    assert list(top1) == ['pixels', 'random_init', 'mocov2', 'clim']
    # Four standard errors of a difference on 400 held-out textures are about 0.14; seeds differ by as much.
    assert min(top1['mocov2'], top1['clim']) > max(top1['pixels'], top1['random_init']) + 0.1
    first, last = summary['positive_purity']
    assert (first['epoch'], last['epoch']) == (2, 7) and last['center_wise'] > first['center_wise']
    assert summary['wall_s'] > 0
    assert summary['versions']['torch'].startswith('2.11')
    assert all(f'{value:.1%}' in result.stdout for value in top1.values())
    assert '  mocov2 Epoch(train) [10]' in result.stdout and '  clim   Neighbours refreshed' in result.stdout
    with Image.open(folder / 'positives.png') as picture:
        assert picture.width > 500
