"""What detection needs is looked for before anything of it is imported."""

import os
import subprocess
import sys

import pytest
from pure_python_mmcv import write_pure_python_mmcv

pytestmark = pytest.mark.e2e

CHECK = ('from clim_mm.errors import MissingDependencyError\n'
         'from clim_mm.launch.config_checks import check_detection_packages\n'
         'try:\n    check_detection_packages({})\n'
         'except MissingDependencyError as error:\n    print("Missing:", error)\n'
         'import sys; print("mmdet" in sys.modules)')


def run(code, *paths):
    path = os.pathsep.join([*map(str, paths), os.environ.get('PYTHONPATH', '')])
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True,
                            env=dict(os.environ, PYTHONPATH=path))
    return result.stdout.splitlines()


def test_all_is_there():
    assert run(CHECK.format('lvis=True')) == ['False']


def test_mmcv_without_operators(tmp_path):
    write_pure_python_mmcv(tmp_path)
    message, imported = run(CHECK.format(''), tmp_path)
    assert message.startswith('Missing: MMDetection needs mmcv\'s compiled operators, and the installed mmcv has none')
    assert 'bash tools/setup_det.sh' in message and imported == 'False'


@pytest.mark.parametrize('module, package', [('mmdet', 'onedl-mmdetection'), ('lvis', 'lvis')])
def test_a_missing_package(module, package):
    hide = ('from importlib.machinery import PathFinder\nfind = PathFinder.find_spec\n'
            f'PathFinder.find_spec = lambda name, *rest: None if name == {module!r} else find(name, *rest)\n')
    message, imported = run(hide + CHECK.format('lvis=True'))
    assert message.startswith(f'Missing: {package} is missing: `bash tools/setup_det.sh`') and imported == 'False'
