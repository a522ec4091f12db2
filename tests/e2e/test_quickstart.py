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
    # Four standard errors of the difference on 355 held-out digits are about 0.1.
    assert top1['clim'] > top1['random_init'] + 0.1
    purities = summary['positive_purity']
    assert len(purities) >= 3
    assert [purity['epoch'] for purity in purities] == sorted({purity['epoch'] for purity in purities})
    assert purities[-1]['center_wise'] > purities[0]['center_wise']
    assert summary['wall_s'] > 0
    assert summary['versions']['torch'].startswith('2.11')
    assert f'{top1["clim"]:.1%}' in result.stdout
    with Image.open(folder / 'positives.png') as picture:
        assert picture.width > 500
