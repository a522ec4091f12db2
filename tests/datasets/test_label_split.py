"""Only the images that a list names, with their own labels."""

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
    ('cat/1.png\ndog/9.png\ncow/1.png\n', r'2 of the 3 images.*\(cow/1.png, dog/9.png\)'),
    ('cat/1.png\n', r'no image of 1 of the 2 classes \(dog\)'),
    ('\n\n', 'is empty'),
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
    with pytest.raises(DataError, match=f'cat have no labels for {split} to choose from.*a folder of images for each'):
        LabelSplit(split, data_prefix=str(class_folder / 'cat'))
