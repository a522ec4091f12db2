"""Only the images that a list names, with their own labels."""

import os
import runpy
import sys
from pathlib import Path

import pytest

from clim_mm.datasets import LabelSplit
from clim_mm.errors import DataError


def split_of(tmp_path, text):
    path = tmp_path / 'split.txt'
    path.write_text(text)
    return str(path)


def test_images_by_their_paths(class_folder, tmp_path):
    split = split_of(tmp_path, 'dog/4.png\ncat/1.png\n\ncat/0.png\n')
    dataset = LabelSplit(split, data_prefix=str(class_folder))
    images = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(image['img_path'], image['gt_label']) for image in images] == [
        (str(class_folder / 'cat/0.png'), 0), (str(class_folder / 'cat/1.png'), 0),
        (str(class_folder / 'dog/4.png'), 1)]
    assert dataset.CLASSES == ('cat', 'dog')


def test_images_by_their_names_alone(class_folder, tmp_path):
    for number in range(6):
        (class_folder / 'dog' / f'{number}.png').rename(class_folder / 'dog' / f'dog {number}.png')
    dataset = LabelSplit(split_of(tmp_path, '3.png\ndog 2.png\n'), data_prefix=str(class_folder))
    images = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(image['img_path'], image['gt_label']) for image in images] == [
        (str(class_folder / 'cat/3.png'), 0), (str(class_folder / 'dog/dog 2.png'), 1)]


@pytest.mark.parametrize('text, words', [
    ('cat/1.png\ndog/9.png\ncow/1.png\n', r'2 of the 3 names .* no image .*\(cow/1.png, dog/9.png\)'),
    ('\n\n', 'names no image'),
])
def test_what_is_wrong_with_a_list(class_folder, tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        LabelSplit(split_of(tmp_path, text), data_prefix=str(class_folder))


def test_no_list(class_folder, tmp_path):
    with pytest.raises(DataError, match='nowhere.txt cannot be read'):
        LabelSplit(str(tmp_path / 'nowhere.txt'), data_prefix=str(class_folder))
    with pytest.raises(DataError, match='cannot be read'):
        LabelSplit(str(class_folder / 'cat' / '0.png'), data_prefix=str(class_folder))


def test_images_without_labels(class_folder, tmp_path):
    split = split_of(tmp_path, '1.png\n')
    with pytest.raises(DataError, match='cat has no folder of images for a class'):
        LabelSplit(split, data_prefix=str(class_folder / 'cat'))


def test_a_name_of_several_images_chooses_none(class_folder, tmp_path):
    split = split_of(tmp_path, '1.png\n3.png\n')
    with pytest.raises(DataError, match=r'2 of the 2 names in .* of several \(1.png, 3.png\): .* with CLASS/IMAGE'):
        LabelSplit(split, data_prefix=str(class_folder))
    assert len(LabelSplit(split_of(tmp_path, 'cat/1.png\ndog/1.png\n'), data_prefix=str(class_folder))) == 2


def test_an_empty_class_folder_wants_no_image(class_folder, tmp_path):
    (class_folder / 'cow').mkdir()
    dataset = LabelSplit(split_of(tmp_path, 'cat/1.png\ndog/1.png\n'), data_prefix=str(class_folder))
    assert dataset.CLASSES == ('cat', 'cow', 'dog') and dataset.get_gt_labels().tolist() == [0, 2]


@pytest.mark.parametrize('write', [
    lambda lines: '\r\n'.join(lines), lambda lines: '\ufeff' + '\n'.join(lines) + '\n\n',
    lambda lines: '\n'.join(f' {line} ' for line in ['# labelled', *lines])])
def test_lists_as_people_write_them(class_folder, tmp_path, write):
    (tmp_path / 'split.txt').write_bytes(write(['cat/1.png', 'dog/4.png']).encode())
    assert len(LabelSplit(str(tmp_path / 'split.txt'), data_prefix=str(class_folder))) == 2


def test_the_list_that_the_tool_writes_is_taken(class_folder, tmp_path, monkeypatch, capsys):
    (class_folder / 'cow').mkdir()
    (class_folder / 'dog').rename(class_folder / ' a dog ')
    os.rename(os.fsencode(class_folder / 'cat' / '1.png'), os.fsencode(class_folder / 'cat') + b'/\xe9 1.png')
    out = str(tmp_path / 'split.txt')
    monkeypatch.setattr(sys, 'argv', ['make_label_split.py', str(class_folder), '--percent', '100', '--out', out])
    tool = str(Path(__file__).parents[2] / 'tools' / 'make_label_split.py')
    runpy.run_path(tool, run_name='__main__')
    assert '12 of 12 images, of 3 classes' in capsys.readouterr().out
    assert len(LabelSplit(out, data_prefix=str(class_folder))) == 12
    (class_folder / 'cat' / '2.png').rename(class_folder / 'cat' / '2\n.png')
    with pytest.raises(SystemExit, match='cannot name cat/2.n.png, which has a line break in its name: rename it'):
        runpy.run_path(tool, run_name='__main__')
