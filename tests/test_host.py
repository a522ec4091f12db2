"""MMSelfSup's version gate: shut without clim_mm, open with it, and mmcv's version told truly afterwards."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

pytestmark = pytest.mark.e2e


def run(code):
    """Run code in a Python of its own."""
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)


def installed_mmcv():
    for name in ('onedl-mmcv', 'mmcv-lite', 'mmcv'):
        try:
            return version(name)
        except PackageNotFoundError:
            pass
    raise AssertionError('mmcv is not installed')


def test_without_clim_mm_the_gate_is_shut():
    result = run('import mmselfsup')
    assert result.returncode != 0
    assert 'AssertionError' in result.stderr and f'MMCV=={installed_mmcv()}' in result.stderr.replace(' ', '')


def test_with_clim_mm_the_gate_is_open_and_mmcv_tells_its_version():
    result = run('import clim_mm, mmselfsup, mmcls, mmcv; from mmselfsup.models import MoCo\n'
                 'print(mmselfsup.__version__, mmcls.__version__, mmcv.__version__)')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].split() == ['1.0.0', '1.0.0rc6', installed_mmcv()]


def test_clim_mm_alone_imports_neither_of_the_two():
    result = run('import sys, clim_mm, clim_mm.distributed, clim_mm.launch.commands, clim_mm.launch.launch_checks\n'
                 'print({"mmcls", "mmselfsup"} & set(sys.modules))')
    assert result.stdout.splitlines()[-1] == 'set()', result.stderr


def test_the_gate_is_open_for_modules_below_and_for_what_reads_their_source():
    result = run('import clim_mm, inspect\nfrom mmselfsup.models.algorithms import MoCo\nimport mmselfsup\n'
                 'print(len(inspect.getsource(mmselfsup)) > 100)')
    assert result.stdout.splitlines()[-1] == 'True', result.stderr


def test_a_missing_host_is_told_with_the_command():
    result = run('from importlib.machinery import PathFinder\nfind = PathFinder.find_spec\n'
                 'PathFinder.find_spec = lambda name, *rest: None if name == "mmselfsup" else find(name, *rest)\n'
                 'try:\n    import clim_mm.models\nexcept ImportError as error:\n    print(error)\n'
                 'import mmcv; print(mmcv.__version__)')
    message, found = result.stdout.splitlines()[-2:]
    assert message == ('mmselfsup is missing: `pip install -r requirements/runtime.txt` installs the host framework '
                       'with its versions.')
    assert found == installed_mmcv(), 'put back after a failure too'
