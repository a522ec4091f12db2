"""tools/setup_det.sh, with a real pip and wheels of the installed mmcv: with its operators, and without."""

import os
import shutil
import site
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[3]


def write_wheel(folder, operators):
    """A wheel of the installed mmcv, as pip would build it with or without torch in sight."""
    found = distribution('onedl-mmcv')
    name = f'onedl_mmcv-{found.version}'
    python = f'cp{sys.version_info.major}{sys.version_info.minor}'
    tag = f'{python}-{python}-linux_{os.uname().machine}' if operators else 'py3-none-any'
    folder.mkdir()
    with zipfile.ZipFile(folder / f'{name}-{tag}.whl', 'w') as wheel:
        for file in found.files:
            path = Path(file.locate())
            if file.parts[0] == 'mmcv' and path.is_file() and '__pycache__' not in file.parts and (
                    operators or not path.name.startswith('_ext')):
                wheel.write(path, str(file))
        pure = str(not operators).lower()
        for file, lines in dict(
                METADATA=['Metadata-Version: 2.1', 'Name: onedl-mmcv', f'Version: {found.version}'],
                WHEEL=['Wheel-Version: 1.0', 'Generator: test', f'Root-Is-Purelib: {pure}', f'Tag: {tag}'],
                RECORD=[]).items():
            wheel.writestr(f'{name}.dist-info/{file}', '\n'.join([*lines, '']))
    return folder


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose .venv has everything of this environment except mmcv's operators."""
    root = tmp_path / 'checkout'
    shutil.copytree(ROOT / 'tools', root / 'tools', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT / 'requirements', root / 'requirements')
    shutil.copy(ROOT / 'setup.py', root)
    subprocess.run([sys.executable, '-m', 'venv', root / '.venv'], check=True)
    (own, ) = (root / '.venv/lib').glob('python*/site-packages')
    above = [path for path in sys.path if path.endswith('site-packages')] or site.getsitepackages()
    (own / 'above.pth').write_text('\n'.join(above))
    install(root, write_wheel(tmp_path / 'pure', operators=False))
    # As tools/setup_env.sh leaves it when all is installed.
    stamp = subprocess.run('cat requirements/*.txt setup.py | cksum', shell=True, cwd=root, check=True,
                           capture_output=True, text=True).stdout
    (root / '.venv/installed-det').write_text(stamp)
    return root


def install(root, wheels):
    subprocess.run([root / '.venv/bin/python', '-m', 'pip', 'install', '-q', '--no-index', '--no-deps',
                    '--force-reinstall', *wheels.glob('*.whl')], check=True)


def set_up(root, wheels, **variables):
    environment = dict(os.environ, PIP_NO_INDEX='1', PIP_FIND_LINKS=str(wheels),
                       XDG_CACHE_HOME=str(root.parent / 'cache'), PIP_NO_CACHE_DIR='')
    environment.update(variables)
    result = subprocess.run(['bash', root / 'tools/setup_det.sh'], text=True, check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env=environment)
    return result.returncode, result.stdout


def test_operators_of_a_build_and_of_an_earlier_one(checkout, tmp_path):
    whole, pure, nowhere = write_wheel(tmp_path / 'whole', operators=True), tmp_path / 'pure', tmp_path / 'nowhere'
    status, output = set_up(checkout, whole, PIP_NO_CACHE_DIR='1', OMP_NUM_THREADS='1')
    assert status == 0 and 'The installed mmcv has no compiled operators' in output, output
    assert f'with {len(os.sched_getaffinity(0))} compilers at once' in output, 'whatever OpenMP is told'
    assert output.splitlines()[-1] == 'mmcv 2.3.6 has its operators now.'
    assert set_up(checkout, nowhere) == (0, ''), 'what is there is left alone'
    assert not (tmp_path / 'cache').exists(), 'nor is anything kept'

    install(checkout, pure)
    assert set_up(checkout, whole)[0] == 0
    (kept, ) = (tmp_path / 'cache' / 'clim_mm').iterdir()
    assert kept.name.startswith('mmcv-2.3.6-')
    install(checkout, pure)
    assert set_up(checkout, nowhere) == (0, f'Taking mmcv\'s operators from an earlier build ({kept}).\n')

    install(checkout, pure)
    (wheel, ) = kept.iterdir()
    wheel.write_bytes(wheel.read_bytes()[:1000])
    status, output = set_up(checkout, nowhere)
    assert status == 1 and 'That build does not work here: it is thrown away.' in output and not kept.exists()
    assert 'No matching distribution found for onedl-mmcv==2.3.6' in output, 'the last lines of the build'
    assert output.splitlines()[-1].startswith('Error: mmcv 2.3.6 could not be built')

    status, output = set_up(checkout, pure)
    assert status == 1 and not kept.exists()
    last = output.splitlines()[-1]
    assert last.startswith('Error: pip has installed mmcv without operators again (a pure-Python build: onedl_mmcv-')
    assert 'take that wheel out of the reach of pip' in last
