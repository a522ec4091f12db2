"""The list of tests/mutants.py fits the package: a fault that finds no place would tell nothing of the tests."""

from pathlib import Path

import pytest
from mutant_list import MUTANTS, Mutant, stale

ROOT = Path(__file__).parents[1]


def test_every_fault_has_one_place_in_the_package():
    assert list(stale(MUTANTS, ROOT)) == []
    assert len(MUTANTS) >= 40


@pytest.mark.parametrize('mutants, sentence', [
    ([('b', 'one.py', 'x + 1', 'x - 1')], None),
    ([('b', 'one.py', 'x + 2', 'x - 2')], 'b: one.py has the old text 0 times instead of once.'),
    ([('b', 'one.py', 'x', 'y')], 'b: one.py has the old text 2 times instead of once.'),
    ([('b', 'two.py', 'x', 'y')], 'b: two.py has the old text 0 times instead of once.'),
    ([('b', 'one.py', 'x + 1', 'x + 1')], 'b changes nothing.'),
    ([('b', 'one.py', 'x + 1', 'x +')], 'b: one.py is no Python with the new text'),
    ([('b', 'one.py', 'x + 1', 'x'), ('b', 'one.py', 'x + 1', '1')], "'b' is the name of several mutants."),
])
def test_what_no_longer_fits_is_named(tmp_path, mutants, sentence):
    (tmp_path / 'clim_mm').mkdir()
    (tmp_path / 'clim_mm' / 'one.py').write_text('def plus(y):\n    x = y\n    return x + 1\n')
    found = list(stale([Mutant(*mutant) for mutant in mutants], tmp_path))
    assert [line.startswith(sentence) for line in found] == [True] * len(mutants) if sentence else found == []
