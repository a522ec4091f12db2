"""A module whose library is imported when it is called, left out, or taken as it is."""

import sys
from types import ModuleType

import pytest

from clim_mm.deferred_imports import DEFERRED, with_deferred

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
    assert module.rgb_to_hsv.__name__ == 'rgb_to_hsv'
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
