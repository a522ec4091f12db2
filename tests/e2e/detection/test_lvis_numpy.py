"""The package lvis evaluates beside a numpy that has dropped np.float, and numpy stays as it is."""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.e2e


def test_lvis_finds_the_name_and_numpy_does_not():
    code = ('import numpy as np, lvis.eval\nfrom clim_mm.transfer.mmdet_parts import let_lvis_run\nlet_lvis_run()\n'
            'print(lvis.eval.np.float is float, lvis.eval.np.cumsum is np.cumsum, hasattr(np, "float"))')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ['True', 'True', str(hasattr(np, 'float'))]
