"""The first images of each class, as they are, in a smaller set."""

import runpy
import sys
from pathlib import Path

import pytest

TOOL = str(Path(__file__).parents[2] / 'tools' / 'prepare_subset.py')


@pytest.fixture
def folder(tmp_path):
    for part, names in (('train', '30214'), ('test', '210')):
        for label in ('cat', 'dog'):
            (tmp_path / 'all' / part / label).mkdir(parents=True)
            for name in names:
                (tmp_path / 'all' / part / label / f'{name}.png').write_text(f'{part}/{label}/{name}')
    return tmp_path / 'all'


def prepare(monkeypatch, *words):
    monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, words)])
    runpy.run_path(TOOL, run_name='__main__')


def test_first_and_next_of_each_class(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'made' / 'small'
    prepare(monkeypatch, folder, out, '--train', 2, '--val', 1, '--test', 1)
    assert {str(path.relative_to(out)): path.read_text() for path in out.rglob('*.png')} == {
        f'{split}/{label}/{name}.png': f'{part}/{label}/{name}' for label in ('cat', 'dog')
        for split, part, name in (('train', 'train', 0), ('train', 'train', 1), ('val', 'train', 2),
                                  ('test', 'test', 0))}
    assert '8 images' in capsys.readouterr().out


@pytest.mark.parametrize('part, numbers, words', [
    ('all', (5, 1, 1), 'train/cat has 5 images, and 6 are asked for'),
    ('all/train/cat', (1, 0, 0), 'There is no folder'),
    ('all', (1, 0, 4), 'test/cat has 3 images, and 4 are asked for'),
])
def test_what_cannot_be_made_leaves_nothing(folder, tmp_path, monkeypatch, part, numbers, words):
    with pytest.raises(SystemExit, match=words):
        prepare(monkeypatch, tmp_path / part, tmp_path / 'small', *(word for name, number in zip(
            ('--train', '--val', '--test'), numbers, strict=True) for word in (name, number)))
    assert [path.name for path in tmp_path.iterdir()] == ['all']


def test_a_folder_that_is_there_is_left_alone(folder, tmp_path, monkeypatch):
    (tmp_path / 'small').mkdir()
    with pytest.raises(SystemExit, match='is there already'):
        prepare(monkeypatch, folder, tmp_path / 'small', '--train', 1)
    assert not list((tmp_path / 'small').iterdir())
