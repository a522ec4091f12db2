"""What the rest of the package does where MMDetection is installed."""

import sys

import mmdet
import pytest

from clim_mm.export import export, library_of, read_header

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize('first, layer', [('', 'False'), ('import mmdet.models', 'True')])
def test_a_pretraining_imports_it_only_after_the_user(shell, first, layer):
    result = shell(sys.executable, '-c', f"""
import sys, clim_mm
{first}
before = 'mmdet' in sys.modules
import clim_mm.datasets, clim_mm.hooks.all_hooks, clim_mm.evaluation, clim_mm.models
print(before == ('mmdet' in sys.modules))
from mmselfsup.models.utils import res_layer_extra_norm
print(hasattr(res_layer_extra_norm, 'ResLayerExtraNorm'))
import mmdet.models
print(mmdet.models.FasterRCNN.__name__)
""")
    assert result.stdout.split()[-3:] == ['True', layer, 'FasterRCNN'], result.stdout


def test_an_export_is_compared_with_its_own_network(trained, tmp_path):
    own = f'mmdet {mmdet.__version__}'
    assert library_of('mmdet').name == own
    out = str(tmp_path / 'resnet18.pth')
    assert export(str(trained('resnet18').checkpoint()), 'mmdet', out).difference <= 1e-5
    assert read_header(out)['parity']['against'] == own
