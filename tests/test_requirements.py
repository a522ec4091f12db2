"""What is imported is required, what is pinned is within what is required, and what is quoted is what is pinned."""

import ast
import functools
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NOT_INSTALLED = {'mmdet': ['onedl-mmdetection']}  # of what may be missing here, what is not called as it is imported
RIVALS = {'simplejpeg'}  # takes part in tools/benchmarks/decoders.py where somebody has installed it


def required(*names):
    """The requirements of files, as they stand in them, without those that they include."""
    lines = [line.partition('#')[0].strip() for name in names
             for line in (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith('-')]


def extras():
    """Those of setup.py, by name."""
    tree = ast.parse((ROOT / 'setup.py').read_text())
    call, = (node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == 'extras_require')
    return {part.arg: required(part.value.args[0].value.removesuffix('.txt')) if isinstance(part.value, ast.Call)
            else [Requirement(text) for text in ast.literal_eval(part.value)] for part in call.keywords}


def of_extras():
    return [requirement for requirements in extras().values() for requirement in requirements]


@functools.cache
def imports_of(folder):
    """Top-level names of what the files below ``folder`` import from elsewhere, with a file that does."""
    paths = [path for path in sorted((ROOT / folder).rglob('*.py')) if '.mim' not in path.parts]
    own = {name for path in [*ROOT.glob('tests/**/*.py'), *ROOT.glob('tools/**/*.py')]
           for name in (path.stem, path.parent.name)}
    found = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            found.update({module.partition('.')[0]: path.relative_to(ROOT).as_posix() for module in modules})
    return {name: path for name, path in found.items()
            if name not in {*sys.stdlib_module_names, *RIVALS, 'clim_mm'} and not (folder != 'clim_mm' and name in own)}


distributions = functools.cache(packages_distributions)


def undeclared(folder, requirements):
    """What is imported below ``folder`` and belongs to none of the requirements."""
    names = {canonicalize_name(requirement.name) for requirement in requirements}
    packages = distributions()
    return {name: path for name, path in imports_of(folder).items()
            if not names & {canonicalize_name(dist) for dist in packages.get(name) or NOT_INSTALLED.get(name, [name])}}


def test_what_is_imported_is_required():
    always = [*required('runtime'), *of_extras()]
    assert {'scipy', 'torch', 'safetensors', 'faiss', 'lvis'} <= imports_of('clim_mm').keys()
    assert set(undeclared('clim_mm', always)) == set(undeclared('clim_mm/transfer', always)) == {'mmdet', 'lvis'}
    assert undeclared('clim_mm/transfer', [*always, *required('det')]) == {}
    assert undeclared('tools', [*always, *required('peers')]) == {}
    assert undeclared('tests', [*always, *required('det', 'tests')]) == {}


@pytest.mark.parametrize('name, module', [('scipy', 'scipy'), ('pillow', 'PIL'), ('scikit-learn', 'sklearn')])
def test_a_requirement_that_is_taken_out_is_missed(name, module):
    without = [requirement for requirement in required('runtime') if requirement.name != name]
    assert module in undeclared('clim_mm', without) and module not in undeclared('clim_mm', required('runtime'))


def test_what_is_pinned_is_within_what_is_required():
    pinned = {canonicalize_name(pin.name): pin for pin in required('pinned', 'tests', 'det')}
    open_ended = []
    for requirement in [*required('runtime'), *of_extras()]:
        # A requirement of one version is its own pin.
        pins = list(pinned.get(canonicalize_name(requirement.name), requirement).specifier)
        if [pin.operator for pin in pins] == ['==']:
            assert requirement.specifier.contains(pins[0].version), requirement
        else:
            open_ended.append(requirement.name)
    assert open_ended == ['faiss-gpu'], 'in the place of faiss-cpu'


def test_the_peers_are_compared_on_the_same_torch():
    pinned = {requirement.name: requirement.specifier for requirement in required('pinned')}
    peers = {requirement.name: requirement.specifier for requirement in required('peers')}
    assert {name: peers[name] for name in ('torch', 'torchvision')} == {
        name: pinned[name] for name in ('torch', 'torchvision')}


def test_the_gpu_extra_leaves_one_faiss():
    """All packages of faiss share a folder, so that a second one breaks the first."""
    faiss = {name: [req.name for req in [*required('runtime'), *extra] if req.name.startswith('faiss')]
             for name, extra in extras().items()}
    assert faiss == dict(cpu=['faiss-cpu'], gpu=['faiss-gpu'], export=[])


QUOTED = re.compile(r'\b([a-z][a-z0-9-]*[a-z0-9])((?:==|>=)[0-9][0-9.]*(?:,<[0-9.]*[0-9])?)')


def test_what_is_quoted_is_what_is_required():
    """By messages, the README and docs/, as in ``pip install torch==2.11.0``."""
    known = {}
    for requirement in [*required('runtime', 'pinned', 'tests', 'det'), *of_extras()]:
        known.setdefault(canonicalize_name(requirement.name), set()).add(requirement.specifier)
    quoted = [(path, *match) for path in [ROOT / 'README.md', *ROOT.glob('docs/*.md'), *ROOT.glob('clim_mm/**/*.py')]
              for match in QUOTED.findall(path.read_text()) if match[0] in known]
    assert {name for _, name, _ in quoted} >= {'torch', 'torchvision', 'faiss-cpu', 'onedl-mmcv'}
    for path, name, specifier in quoted:
        assert Requirement(name + specifier).specifier in known[name], f'{path.name}: {name}{specifier}'
