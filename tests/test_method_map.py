"""The pages of documentation lead somewhere: the method's map to files and names that exist, links to their targets."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = (ROOT / 'docs' / 'development.md').read_text()
FILES = dict(re.findall(r'^\[(\w+)\]: \.\./(\S+)$', MAP, re.M))
ROWS = [(label, name) for names, label in re.findall(r'((?:`[\w.]+`, )*`[\w.]+`) in \[(\w+)\]', MAP)
        for name in re.findall(r'`([\w.]+)`', names)]
PAGES = [path for pattern in ('*.md', 'docs/*.md', 'configs/**/*.md') for path in sorted(ROOT.glob(pattern))]


def names_in(tree: ast.AST, prefix: str = '') -> set[str]:
    """What is defined in a file: functions, classes and their methods, constants."""
    names = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            names |= names_in(node, f'{node.name}.')
        if isinstance(node, ast.Assign):
            names |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


@pytest.mark.parametrize('label, name', ROWS)
def test_the_map_leads_to_a_definition(label, name):
    path = FILES[label]
    tree = ast.parse((ROOT / path).read_text())
    names = names_in(tree)
    if path.startswith('configs/'):  # settings inside of others, too
        names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert name in names, f'{path} has no {name}'


def test_each_path_of_the_map_stands_once_and_is_used():
    assert len(ROWS) > 80 and {label for label, _ in ROWS} == FILES.keys()
    assert len(set(FILES.values())) == len(FILES) == MAP.count(']: ../')


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_have_targets(page):
    for target, anchor in re.findall(r'\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)', page.read_text()):
        path = (page.parent / target) if target else page
        assert path.exists(), f'{target} is not there'
        if anchor:
            headings = re.findall(r'^#+ (.*)$', path.read_text(), re.M)
            slugs = {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}
            assert anchor in slugs, f'{target} has no heading {anchor}'
