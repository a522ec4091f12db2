"""The packages stand on each other in the order of docs/development.md: no import goes up, and there is no circle."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ROOT / 'clim_mm'
# From the bottom up; a package's row names it first, some rows name two.
TABLE = re.search(r'^\| package .*?\n\n', (ROOT / 'docs' / 'development.md').read_text(), re.M | re.S)[0]
ORDER = [name for row in TABLE.strip().splitlines()[2:] for name in re.findall(r'`(\w+)/`', row.split('|')[1])]
DOORS = ('__init__', '__main__')  # to the whole package
FILES = [path for path in CODE.rglob('*.py') if '.mim' not in path.parts]


def imported_by(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it, as ``datasets.transforms.mixing``."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [*package[:len(package) + 1 - node.level]] if node.level else []
            module = '.'.join([*parts, *([node.module] if node.module else [])])
            names = [f'{module}.{alias.name}' for alias in node.names] if module == CODE.name else [module]
        else:
            continue
        yield from (name.partition('.')[2] for name in names if name.startswith(f'{CODE.name}.'))


def arrows() -> dict[str, set[str]]:
    """By package, or file beside the packages: which others it imports."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        home = path.relative_to(CODE).parts[0].removesuffix('.py')
        found.setdefault(home, set()).update({name.partition('.')[0] for name in imported_by(path)} - {home})
    return found


def test_each_package_has_its_place():
    assert sorted(ORDER) == sorted(path.parent.name for path in CODE.glob('*/__init__.py'))


def test_no_package_imports_one_that_stands_above():
    up = {(home, other) for home, others in arrows().items() if home in ORDER
          for other in others & {*ORDER} if ORDER.index(other) > ORDER.index(home)}
    assert up == set()


def test_the_files_beside_the_packages_stand_below_them():
    found = arrows()
    up = {(home, other) for home, others in found.items() if home not in (*ORDER, *DOORS) for other in others
          if other in ORDER}
    assert up == set()
    TopologicalSorter({home: others for home, others in found.items() if home not in ORDER}).prepare()  # no circle


def test_an_import_of_each_kind_is_seen(tmp_path, monkeypatch):
    path = CODE / 'datasets' / 'transforms' / 'mixing.py'  # where it would stand
    source = ('import clim_mm.hooks\nfrom clim_mm import study\nfrom ..labels import labels_of\nfrom . import x\n'
              'from ...models.parts import y\nimport torch\ndef f():\n    from .... import z\n')
    monkeypatch.setattr(Path, 'read_text', lambda self: source)
    assert [*imported_by(path)] == ['hooks', 'study', 'datasets.labels', 'datasets.transforms', 'models.parts']
