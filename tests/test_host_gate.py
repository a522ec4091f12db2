"""MMSelfSup's version gate, and modules whose library is imported when it is called, left out, or taken as it is."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import pytest

from clim_mm.host import DEFERRED, with_deferred


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


@pytest.mark.e2e
def test_without_clim_mm_the_gate_is_shut():
    result = run('import mmselfsup')
    assert result.returncode != 0
    assert 'AssertionError' in result.stderr and f'MMCV=={installed_mmcv()}' in result.stderr.replace(' ', '')


@pytest.mark.e2e
def test_with_clim_mm_the_gate_is_open_and_mmcv_tells_its_version():
    result = run('import clim_mm, mmselfsup, mmcls, mmcv; from mmselfsup.models import MoCo\n'
                 'print(mmselfsup.__version__, mmcls.__version__, mmcv.__version__)')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].split() == ['1.0.0', '1.0.0rc6', installed_mmcv()]


@pytest.mark.e2e
def test_clim_mm_alone_imports_neither_of_the_two():
    result = run('import sys, clim_mm, clim_mm.distributed, clim_mm.launch.commands, clim_mm.launch.config_checks\n'
                 'print({"mmcls", "mmselfsup"} & set(sys.modules))')
    assert result.stdout.splitlines()[-1] == 'set()', result.stderr


@pytest.mark.e2e
def test_the_garbage_collector_runs_after_the_import_as_before():
    result = run('import gc, clim_mm; print(gc.isenabled())')
    assert result.stdout.splitlines()[-1] == 'True', result.stderr


@pytest.mark.e2e
def test_the_gate_is_open_for_modules_below_and_for_what_reads_their_source():
    result = run('import clim_mm, inspect\nfrom mmselfsup.models.algorithms import MoCo\nimport mmselfsup\n'
                 'print(len(inspect.getsource(mmselfsup)) > 100)')
    assert result.stdout.splitlines()[-1] == 'True', result.stderr


LIBRARY = 'colorsys'  # of the standard library; nothing here needs it
SOURCE = ('import math\ntry:\n    from colorsys import rgb_to_hsv\nexcept ImportError:\n    rgb_to_hsv = None\n'
          'def other():\n    import colorsys\n    return colorsys')


@pytest.fixture
def executed(monkeypatch):
    """Execute the source, with the function of a library deferred: ``executed(library, attribute)``."""
    monkeypatch.delitem(sys.modules, LIBRARY, raising=False)

    def execute(library, attribute, source=SOURCE):
        monkeypatch.setitem(DEFERRED, 'deferring', (library, attribute))
        module = ModuleType('deferring')
        with_deferred(lambda module: exec(source, vars(module)), module)
        return module

    yield execute
    sys.modules.pop(LIBRARY, None)


def test_the_library_is_imported_when_it_is_called(executed):
    module = executed(LIBRARY, 'rgb_to_hsv')
    assert LIBRARY not in sys.modules and module.math.pi > 3
    assert module.rgb_to_hsv(1.0, 0.0, b=0.0) == (0.0, 1.0, 1.0)
    assert LIBRARY in sys.modules and module.other() is sys.modules[LIBRARY]


def test_the_library_is_left_out(executed):
    assert executed(LIBRARY, None).rgb_to_hsv is None
    assert LIBRARY not in sys.modules
    import colorsys
    assert colorsys.rgb_to_hsv(1, 0, 0) == (0, 1, 1), 'others import it as ever'


@pytest.mark.parametrize('attribute', ['rgb_to_hsv', None])
def test_a_library_that_is_there_is_taken(executed, attribute):
    import colorsys
    assert executed(LIBRARY, attribute).rgb_to_hsv is colorsys.rgb_to_hsv


def test_a_library_that_is_not_installed_is_missing_at_once(executed):
    source = SOURCE.replace('colorsys', 'clim_mm_has_no_such_library')
    assert executed('clim_mm_has_no_such_library', 'rgb_to_hsv', source).rgb_to_hsv is None


def test_only_one_module_is_answered_so(executed):
    executed(LIBRARY, None)
    exec('from colorsys import rgb_to_hsv', namespace := {})
    assert namespace['rgb_to_hsv'](1, 0, 0) == (0, 1, 1)
