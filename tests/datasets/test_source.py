"""Building the wrapped dataset: each fault of a folder or list is told with its place and a remedy."""

import shutil

import pytest

from clim_mm.datasets.source import build_source, place_of
from clim_mm.errors import ConfigError, DataError


def error_of(**cfg):
    with pytest.raises(DataError) as caught:
        build_source(cfg)
    message = str(caught.value)
    assert '\n' not in message, 'one sentence on one line, for tools/train.py'
    return message


@pytest.mark.parametrize('type_', ['ImageFolder', 'mmcls.CustomDataset'])
def test_good_folders(class_folder, type_):
    source = build_source(dict(type=type_, data_root=str(class_folder)))
    names = [source.get_data_info(i)['img_path'] for i in range(len(source))]
    assert names == [str(class_folder / name / f'{i}.png') for name in ('cat', 'dog') for i in range(6)]


def test_good_folder_with_a_prefix(class_folder):
    prefixes = ['images', dict(img_path='images')]
    for prefix in prefixes:
        cfg = dict(type='mmcls.CustomDataset', data_root=str(class_folder.parent), data_prefix=prefix)
        assert len(build_source(cfg)) == 12


def test_good_list(class_folder):
    (class_folder / 'list.txt').write_text('dog/3.png\ncat/1.png\n')
    source = build_source(dict(type='mmselfsup.ImageList', data_root=str(class_folder), ann_file='list.txt'))
    names = [source.get_data_info(i)['img_path'] for i in range(len(source))]
    assert names == [str(class_folder / 'dog' / '3.png'), str(class_folder / 'cat' / '1.png')]


@pytest.mark.parametrize('type_', ['ImageFolder', 'mmcls.CustomDataset'])
def test_a_missing_folder(tmp_path, type_):
    message = error_of(type=type_, data_root=str(tmp_path / 'nowhere'))
    assert message.startswith(str(tmp_path / 'nowhere'))
    assert 'does not exist' in message and '--cfg-options' in message


@pytest.mark.parametrize('prefix', ['train', dict(img_path='train')])
def test_a_missing_folder_below_the_root(tmp_path, prefix):
    message = error_of(type='mmcls.CustomDataset', data_root=str(tmp_path), data_prefix=prefix)
    assert message.startswith(f'{tmp_path / "train"} does not exist')


def test_a_missing_list(class_folder):
    message = error_of(type='mmselfsup.ImageList', data_root=str(class_folder), ann_file='list.txt')
    assert message.startswith(f'{class_folder / "list.txt"} does not exist')


@pytest.mark.parametrize('type_', ['ImageFolder', 'mmcls.CustomDataset'])
def test_an_empty_folder(tmp_path, type_):
    assert str(tmp_path) in error_of(type=type_, data_root=str(tmp_path))


def test_empty_class_folders(tmp_path):
    (tmp_path / 'cat').mkdir()
    (tmp_path / 'dog').mkdir()
    assert str(tmp_path) in error_of(type='mmcls.CustomDataset', data_root=str(tmp_path))


def test_a_flat_folder_without_classes_hints_at_image_folder(class_folder):
    message = error_of(type='mmcls.CustomDataset', data_root=str(class_folder / 'cat'))
    assert str(class_folder / 'cat') in message and 'type="ImageFolder"' in message


def test_a_flat_folder_below_the_root_is_named(class_folder):
    message = error_of(type='mmcls.CustomDataset', data_root=str(class_folder), data_prefix='cat')
    assert message.startswith(str(class_folder / 'cat'))


@pytest.mark.parametrize('type_', ['mmselfsup.ImageList', 'mmcls.CustomDataset'])
@pytest.mark.parametrize('content', ['', '\n'], ids=['empty', 'a blank line'])
def test_a_list_without_a_usable_line(class_folder, type_, content):
    (class_folder / 'list.txt').write_text(content)
    message = error_of(type=type_, data_root=str(class_folder), ann_file='list.txt')
    assert str(class_folder / 'list.txt') in message


def test_a_list_with_a_word_for_a_label(class_folder):
    (class_folder / 'list.txt').write_text('cat/0.png cat\n')
    message = error_of(type='mmcls.CustomDataset', data_root=str(class_folder), ann_file='list.txt')
    assert str(class_folder / 'list.txt') in message


def test_place_of():
    assert place_of(dict(data_root='data', data_prefix='train', ann_file='list.txt')) == 'data/train, data/list.txt'
    assert place_of(dict(data_prefix='train')) == 'train'
    assert place_of(dict(data_root='data', data_prefix='/abs')).startswith('/abs')
    assert place_of(dict()) == 'The dataset'


def test_place_of_names_a_folder_once():
    assert place_of(dict(data_root='data')).count('data') == 1
    assert place_of(dict(data_root='data', data_prefix='train')).count('data') == 1


def test_urls_are_not_looked_for_on_this_machine(tmp_path):
    # Only the list can be missing here: it is the one that is told, though the prefix comes first.
    cfg = dict(type='mmcls.CustomDataset', data_prefix='http://host/images', ann_file=str(tmp_path / 'list.txt'))
    assert error_of(**cfg).startswith(f'{tmp_path / "list.txt"} does not exist')


def test_a_folder_that_lost_its_images_is_told_anew(class_folder):
    cfg = dict(type='ImageFolder', data_root=str(class_folder))
    assert len(build_source(cfg)) == 12
    shutil.rmtree(class_folder)
    assert 'does not exist' in error_of(**cfg)


def test_links_to_other_folders_are_followed(class_folder, tmp_path):
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set' / 'cat').symlink_to(class_folder / 'cat')
    (tmp_path / 'set' / 'one.png').symlink_to(class_folder / 'dog' / '1.png')
    assert len(build_source(dict(type='ImageFolder', data_root=str(tmp_path / 'set')))) == 7


@pytest.mark.parametrize('type_', ['ImageFolder', 'mmcls.CustomDataset'])
@pytest.mark.parametrize('links', [
    {'cat/up': '.'}, {'cat/up': '.', 'dog/up': '.'}, {'cat/self': 'cat'}])
def test_a_link_that_leads_back_up_is_an_error(class_folder, type_, links):
    for place, target in links.items():
        (class_folder / place).symlink_to(class_folder / target)
    message = error_of(type=type_, data_root=str(class_folder))
    assert ' is a link to ' in message and 'take the link out' in message
    first, target = next(iter(links.items()))
    if len(links) == 1:
        assert message.startswith(f'{class_folder / first} is a link to {class_folder / target}, which it is in')


def test_a_link_that_leads_above_the_folder_is_an_error(class_folder):
    (class_folder / 'cat' / 'above').symlink_to(class_folder.parent)
    assert error_of(type='ImageFolder', data_root=str(class_folder)).startswith(
        f'{class_folder}/cat/above is a link to {class_folder.parent}, which it is in')


def test_a_link_to_elsewhere_that_leads_back_lists_nothing_twice(class_folder, tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / 'back').symlink_to(class_folder)
    (class_folder / 'cat' / 'out').symlink_to(tmp_path / 'elsewhere')
    assert len(build_source(dict(type='ImageFolder', data_root=str(class_folder)))) == 12


def test_a_list_leads_to_its_own_images(class_folder):
    (class_folder / 'cat' / 'up').symlink_to(class_folder)
    (class_folder / 'list.txt').write_text('dog/3.png\n')
    assert len(build_source(dict(type='mmselfsup.ImageList', data_root=str(class_folder), ann_file='list.txt'))) == 1


@pytest.mark.parametrize('key, value', [
    ('data_root', 3), ('data_root', ['a']), ('data_prefix', 3), ('data_prefix', dict(img_path=3)), ('ann_file', True)])
def test_a_path_that_is_none(class_folder, key, value):
    with pytest.raises(ConfigError, match='of the dataset must be paths, not'):
        build_source({'type': 'mmcls.CustomDataset', 'data_root': str(class_folder), key: value})


@pytest.mark.parametrize('dataset', [None, 3, 'ImageFolder', ['a.png']])
def test_what_is_no_dataset(dataset):
    with pytest.raises(ConfigError, match='dataset must be the config of an image dataset'):
        build_source(dataset)
