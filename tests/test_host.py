"""The one door to MMSelfSup and MMClassification: what it offers is there, and nobody goes around it."""

import ast
from pathlib import Path

import pytest

from clim_mm import host

ROOT = Path(__file__).parents[1]


def imported_by(path):
    """The packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = ([alias.name for alias in node.names] if isinstance(node, ast.Import) else
                 [node.module or ''] if isinstance(node, ast.ImportFrom) and not node.level else [])
        yield from (name.partition('.')[0] for name in names)


def test_nothing_else_imports_the_host():
    files = [path for folder in ('clim_mm', 'tools') for path in (ROOT / folder).rglob('*.py')
             if path.stem != 'host' and '.mim' not in path.parts]
    assert len(files) > 50
    around = {str(path.relative_to(ROOT)) for path in files if {'mmselfsup', 'mmcls'} & {*imported_by(path)}}
    assert around == set(), 'import it from clim_mm.host'


@pytest.mark.parametrize('name', host._HOME)
def test_what_is_offered_is_there(name):
    assert name == 'HOST_MODELS' or getattr(host, name).__name__ == name


def test_what_is_not_offered():
    with pytest.raises(ImportError, match='BarlowTwins'):
        from clim_mm.host import BarlowTwins  # noqa: F401
