"""Which files below a folder are images, each once, and what is said of the others."""

import logging
import os
import shutil

import pytest

from clim_mm.datasets.image_folders import IMAGE_EXTENSIONS, find_images
from clim_mm.datasets.source import build_source
from clim_mm.datasets.transforms import load_image

TYPES = ['ImageFolder', 'ClassFolder', 'mmcls.CustomDataset']


@pytest.fixture
def told(monkeypatch):
    """The warnings of a process that has told nothing yet."""
    sentences = []
    monkeypatch.setattr(load_image, '_warned', set())
    monkeypatch.setattr(load_image, 'print_log', lambda text, logger, level: sentences.append((level, text)))
    return sentences


def names(source, folder):
    return [os.path.relpath(source.get_data_info(i)['img_path'], folder) for i in range(len(source))]


def copies(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / 'cat' / '0.png', folder / path)


@pytest.mark.parametrize('type_', TYPES)
def test_all_datasets_take_the_same_endings(class_folder, type_):
    for ending in IMAGE_EXTENSIONS:
        copies(class_folder, f'cat/lower{ending}', f'dog/upper{ending.upper()}')
    source = build_source(dict(type=type_, data_root=str(class_folder)))
    assert len(source) == 12 + 2 * len(IMAGE_EXTENSIONS)
    assert {'.gif', '.avif', '.webp', '.tiff'} <= set(IMAGE_EXTENSIONS)


@pytest.mark.parametrize('type_', TYPES)
def test_what_is_left_out_is_told_once(class_folder, type_, told):
    copies(class_folder, *(f'cat/{i}.heic' for i in range(3)), 'dog/a.SVG', 'dog/README', 'cat/._0.png',
           '.ipynb_checkpoints/0-checkpoint.png', '__MACOSX/cat/._0.png', 'dog/@eaDir/0.png', 'Lost+Found/0.png')
    (class_folder / '$RECYCLE.BIN').mkdir()
    cfg = dict(type=type_, data_root=str(class_folder))
    for _ in range(2):
        source = build_source(cfg)
    assert names(source, class_folder) == [f'{name}/{i}.png' for name in ('cat', 'dog') for i in range(6)]
    ((level, sentence), ) = told
    assert level == logging.WARNING and sentence.startswith(f'12 images in {class_folder}')
    assert ('left out: 11 other, hidden or repeated files and folders ($RECYCLE.BIN, .ipynb_checkpoints, '
            'Lost+Found, ...).') in sentence


@pytest.mark.parametrize('type_', TYPES[1:])
def test_folders_of_the_system_are_no_classes(class_folder, type_):
    for name in ('.ipynb_checkpoints', '.Trash-0', '__MACOSX', '@eaDir', 'lost+found', 'System Volume Information'):
        copies(class_folder, f'{name}/0.png')
    source = build_source(dict(type=type_, data_root=str(class_folder)))
    assert source.CLASSES == ('cat', 'dog') and sorted({*source.get_gt_labels()}) == [0, 1]


@pytest.mark.parametrize('type_', TYPES)
def test_nothing_is_said_of_a_folder_of_images_alone(class_folder, type_, told):
    build_source(dict(type=type_, data_root=str(class_folder)))
    assert told == []


@pytest.mark.parametrize('type_', TYPES)
@pytest.mark.parametrize('links', [
    {'eel': 'cat'},  # a folder beside it
    {'a': 'cat', 'dog/cats': 'cat'},
    {'cat/other': 'dog', 'dog/other': 'cat'},  # each other
])
def test_links_to_what_is_in_the_folder_list_nothing_twice(class_folder, type_, links, told):
    for place, target in links.items():
        (class_folder / place).symlink_to(class_folder / target)
    source = build_source(dict(type=type_, data_root=str(class_folder)))
    assert names(source, class_folder) == [f'{name}/{i}.png' for name in ('cat', 'dog') for i in range(6)]
    assert type_ == 'ImageFolder' or source.CLASSES == ('cat', 'dog')
    assert f'left out: {len(links)} other' in told[0][1] and min(links) in told[0][1]


def test_of_two_links_to_a_folder_elsewhere_one_is_taken(class_folder, tmp_path):
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set' / 'a.png').symlink_to(class_folder / 'cat' / '0.png')
    (tmp_path / 'set' / 'dogs').symlink_to(class_folder / 'dog')
    (tmp_path / 'set' / 'more').symlink_to(class_folder / 'dog')
    found = find_images(str(tmp_path / 'set'))
    assert found.images == ['a.png', *(f'dogs/{i}.png' for i in range(6))]
    assert found.left_out == '1 other, hidden or repeated files and folders (more)'


def test_a_tree_of_links_is_gone_through_once(tmp_path):
    for depth in range(30):  # 2^30 paths lead to the image
        (tmp_path / 'set' / str(depth)).mkdir(parents=True)
        for name in ('a', 'b') if depth < 29 else ():
            (tmp_path / 'set' / str(depth) / name).symlink_to(f'../{depth + 1}')
    (tmp_path / 'set' / '29' / '0.png').touch()
    assert find_images(str(tmp_path / 'set')).images == ['29/0.png']


def test_equal_images_in_files_of_their_own_are_all_taken(class_folder):
    copies(class_folder, 'dog/copy.png')
    assert len(find_images(str(class_folder)).images) == 13


def test_a_class_without_an_image_keeps_its_label(class_folder, told):
    (class_folder / 'bee').mkdir()
    copies(class_folder, 'beside.png')
    source = build_source(dict(type='ClassFolder', data_root=str(class_folder)))
    assert source.CLASSES == ('bee', 'cat', 'dog') and {*source.get_gt_labels()} == {1, 2}
    assert 'left out: 1 images beside folders' in told[0][1]


def test_images_of_another_number_of_classes_than_named(class_folder):
    with pytest.raises(OSError, match='has folders for 2 classes, and the config names 3: correct classes'):
        build_source(dict(type='mmcls.CustomDataset', data_root=str(class_folder), classes=['a', 'b', 'c']))
    named = build_source(dict(type='mmcls.CustomDataset', data_root=str(class_folder), classes=['a', 'b']))
    assert named.CLASSES == ('a', 'b')
    with pytest.raises(OSError, match='2 classes, and the config names 1000'):
        build_source(dict(type='mmcls.ImageNet', data_root=str(class_folder)))


def test_a_folder_may_be_given_as_a_path_object(class_folder):
    assert len(build_source(dict(type='ImageFolder', data_root=class_folder))) == 12
