"""Folders of images without labels, and beside those with labels."""

import shutil

import pytest

from clim_mm.datasets import ClassFolder, ImageFolder, labels_of
from clim_mm.errors import DataError


def paths(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def test_images_at_any_depth_in_the_order_of_their_paths(class_folder):
    shutil.copy(class_folder / 'cat' / '0.png', class_folder / 'at the top.png')
    (class_folder / 'dog' / 'a' / 'b').mkdir(parents=True)
    shutil.copy(class_folder / 'cat' / '0.png', class_folder / 'dog' / 'a' / 'b' / 'deep.png')
    expected = ['at the top.png'] + [f'cat/{i}.png' for i in range(6)] + [f'dog/{i}.png' for i in range(6)]
    expected.append('dog/a/b/deep.png')
    assert paths(ImageFolder(str(class_folder))) == [str(class_folder / name) for name in expected]


def test_ids_are_the_places_in_that_order(class_folder):
    dataset = ImageFolder(str(class_folder))
    assert [dataset.get_data_info(i)['sample_idx'] for i in range(12)] == list(range(12))


def test_a_prefix_is_a_folder_below(class_folder):
    dataset = ImageFolder(str(class_folder), data_prefix='dog')
    assert paths(dataset) == [str(class_folder / 'dog' / f'{i}.png') for i in range(6)]


def test_files_are_taken_by_their_extension(tmp_path):
    images = ['A.JPG', 'b.jpeg', 'c.Png', 'd.ppm', 'e.bmp', 'f.pgm', 'g.tif', 'h.TIFF', 'i.webp', 'j.k.jpg', 'k.gif',
              'l.AVIF', 'm.jp2']
    for name in images + ['labels.txt', 'jpg', 'image.jpg.zip', 'video.mp4']:
        (tmp_path / name).touch()
    assert paths(ImageFolder(str(tmp_path))) == [str(tmp_path / name) for name in images]


def test_no_labels_are_made_up(class_folder):
    assert set(ImageFolder(str(class_folder)).get_data_info(0)) == {'img_path', 'sample_idx'}


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / 'labels.txt').touch()
    with pytest.raises(DataError, match='has no file that ends in .jpg, .jpeg, '):
        ImageFolder(str(tmp_path))


def test_unlabelled_images_follow_the_classes(class_folder, tmp_path):
    (tmp_path / 'train').symlink_to(class_folder)
    (tmp_path / 'more').mkdir()
    for name in ('b.png', 'a.png'):
        shutil.copy(class_folder / 'cat' / '1.png', tmp_path / 'more' / name)
    labelled = ClassFolder(data_root=str(tmp_path), data_prefix='train')
    both = ClassFolder(data_root=str(tmp_path), data_prefix='train', unlabelled='more')
    assert len(both) == len(labelled) + 2 and both.metainfo['classes'] == labelled.metainfo['classes']
    infos = [both.get_data_info(i) for i in range(len(both))]
    assert [info['gt_label'] for info in infos[:-2]] == [labelled.get_data_info(i)['gt_label']
                                                         for i in range(len(labelled))]
    assert [(info['gt_label'], info['img_path']) for info in infos[-2:]] == [
        (-1, str(tmp_path / 'more' / name)) for name in ('a.png', 'b.png')]
    assert labels_of(both) is None and labels_of(labelled) is not None
