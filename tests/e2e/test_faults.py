"""The scripts of tests/faults on a few of their inputs, and that they notice a fault."""

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
FAULTS = ROOT / 'tests' / 'faults'


def figures_of(shell, path, script, *arguments):
    """The figures of a script that has found no fault."""
    result = shell(sys.executable, FAULTS / script, *arguments, '--json', path)
    assert result.returncode == 0, result.stdout[-3000:]
    figures = json.loads(path.read_text())
    assert figures['faults'] == []
    return figures


def test_malformed_inputs_end_in_a_sentence_or_in_the_quarantine(shell, tmp_path):
    figures = figures_of(shell, tmp_path / 'figures.json', 'malformed_inputs.py', '--sample', 5, '--seed', 1)
    images, *others = (figures['outcomes'][group] for group in ('images', 'checkpoints', 'settings'))
    assert images['read correctly'] >= 40 and images['quarantined'] >= 80 and images['error'] == 5
    assert [sum(group.values()) for group in others] == [5, 5]
    assert figures['inputs'] == sum(sum(group.values()) for group in figures['outcomes'].values())


def test_killed_trainings_end_as_undisturbed_ones(shell, tmp_path):
    figures = figures_of(shell, tmp_path / 'figures.json', 'kill_runs.py', '--runs', 2)
    assert figures['runs'] == 2 and figures['kills'] >= 2


def test_disturbed_trainings_end_in_a_sentence_and_go_on(shell, tmp_path):
    figures = figures_of(shell, tmp_path / 'figures.json', 'disturbed_runs.py', '--runs', 2, '--kinds', 'two_writers',
                         'interrupted')
    assert figures['runs_by_kind'] == dict(two_writers=1, interrupted=1)
    assert all(len(said) == 1 for said in figures['sentences'].values())


SOUND = """
import sys
sys.path.insert(0, {faults!r})
from pathlib import Path
from malformed import Case
from small_training import Training, write_images

if __name__ == '__main__':
    folder = Path({folder!r})
    images = write_images(folder / 'images')
    start = lambda place: Training(images, place / 'work', options=['train_cfg.max_epochs=1'])
    result = Case('settings', 'nothing is wrong', start, frozenset(['error'])).run(folder / 'case')
    print(result.kind, '|', result.fault)
"""


def test_what_is_taken_silently_is_a_fault(shell, tmp_path):
    (tmp_path / 'sound.py').write_text(SOUND.format(faults=str(FAULTS), folder=str(tmp_path)))
    result = shell(sys.executable, tmp_path / 'sound.py')
    assert 'trained | trained: ' in result.stdout, result.stdout[-3000:]


@pytest.mark.parametrize('tool', ['train.py', 'preflight.py'])
def test_the_tools_decode_no_pictures_of_gigabytes(shell, tmp_path, tool):
    (tmp_path / 'bomb.ppm').write_bytes(b'P6 20000 20000 255\n' + bytes(99))
    code = (f'import runpy; runpy.run_path("tools/{tool}"); from clim_mm.datasets import LoadImage; '
            f'LoadImage()(dict(img_path="{tmp_path}/bomb.ppm"))')
    result = shell(sys.executable, '-c', code)
    assert 'it claims to have more pixels than OPENCV_IO_MAX_IMAGE_PIXELS admits' in result.stdout
