"""Training images and held-out ones, by the config's words."""

import shutil

import numpy as np
import pytest
from mmengine.config import Config

from clim_mm.errors import ConfigError, DataError, sentence
from clim_mm.evaluation import extract_settings, train_and_held_out

PIPELINE = [
    dict(type='LoadImage'),
    dict(type='CenterCrop', crop_size=32),
    dict(type='mmselfsup.PackSelfSupInputs', algorithm_keys=['sample_idx']),
]


def config(folder, hooks=(dict(type='clim_mm.CenterWiseNeighborHook', extract=dict(batch_size=3, pipeline=PIPELINE)), ),
           dataset_type='mmcls.CustomDataset', **others):
    source = dict(type=dataset_type, data_root=str(folder), data_prefix='train')
    return Config(dict(
        default_scope='clim_mm', custom_hooks=list(hooks),
        train_dataloader=dict(dataset=dict(type='NeighborPairs', dataset=source, pipeline=[])), **others))


@pytest.fixture
def folder(class_folder, tmp_path):
    """``train`` has six cats and six dogs, ``held`` a cat and two dogs, ``other`` cats and cows."""
    root = tmp_path / 'root'
    shutil.copytree(class_folder, root / 'train')
    for name in ('cat/5.png', 'dog/0.png', 'dog/3.png'):
        held = root / 'held' / name.replace('/', '/copy_of_')
        held.parent.mkdir(parents=True, exist_ok=True)
        held.write_bytes((class_folder / name).read_bytes() + b' ')  # the same picture, and no copy
    shutil.copytree(class_folder, root / 'other')
    (root / 'other' / 'dog').rename(root / 'other' / 'cow')
    return root


def test_labels_views_and_names(folder):
    train, test = train_and_held_out(config(folder, held_out=dict(data_prefix='held')))
    assert train.classes == test.classes == ('cat', 'dog')
    np.testing.assert_array_equal(train.labels, [0] * 6 + [1] * 6)
    np.testing.assert_array_equal(test.labels, [0, 1, 1])
    assert len(train.views) == 12
    np.testing.assert_array_equal(test.views[2]['inputs'][0], train.views[9]['inputs'][0])
    assert test.views[2]['inputs'][0].shape == (3, 32, 32)


def test_the_extraction_is_that_of_the_refresh(folder):
    assert extract_settings(config(folder)) == dict(batch_size=3, pipeline=PIPELINE)
    with pytest.raises(ConfigError, match='does not say in which view features are taken'):
        extract_settings(config(folder, hooks=[]))


@pytest.mark.parametrize('changed, error, words', [
    ({}, ConfigError, ['held_out', 'held_out.data_prefix=val']),
    (dict(held_out=dict(data_prefix='nowhere')), DataError, ['nowhere', 'does not exist', 'held_out.data_root=FOLDER']),
    (dict(held_out=dict(data_prefix='held'), dataset_type='ImageFolder'), DataError, ['train', 'no labels']),
    (dict(held_out=dict(data_prefix='other')), ConfigError, ['other', '2 classes of the held-out']),
    (dict(held_out=dict(data_prefix='held', classes=['cat', 'dog', 'cow'])), DataError, ['held', 'config names 3']),
])
def test_what_cannot_be_measured(folder, changed, error, words):
    with pytest.raises(error) as raised:
        train_and_held_out(config(folder, **changed))
    text = sentence(raised.value)
    assert all(word in text for word in words), text


def renamed(folder):
    for path in list((folder / 'held').rglob('*.png')):
        shutil.copy(folder / 'train' / path.parent.name / path.name.removeprefix('copy_of_'), path)


def hard_links(folder):
    for path in list((folder / 'held').rglob('*.png')):
        path.unlink()
        path.hardlink_to(folder / 'train' / path.parent.name / path.name.removeprefix('copy_of_'))


def labels_from_one(folder):
    for name in ('train', 'held'):
        lines = [f'{path} {1 + (path.parent.name == "dog")}' for path in (folder / name).rglob('*.png')]
        (folder / f'{name}.txt').write_text('\n'.join(lines))


def labels_in_another_order(folder):
    for name, first in (('train', 'cat'), ('held', 'dog')):
        lines = [f'{path} {int(path.parent.name != first)}' for path in (folder / name).rglob('*.png')]
        (folder / f'{name}.txt').write_text('\n'.join(lines))


@pytest.mark.parametrize('change, settings, words', [
    (labels_in_another_order, dict(ann_file='train.txt'), 'another label .* .cat: 1 instead of 0, dog: 0 instead'),
    (renamed, {}, '3 held-out images that were looked into are copies of training images'),
    (hard_links, {}, '3 held-out images that were looked into are copies'),
    (labels_from_one, dict(ann_file='train.txt', classes=['cat', 'dog']),
     'An image has the label 2, but there are names of 2 classes: number the classes from 0 on'),
])
def test_held_out_images_that_are_trained_on_and_labels_of_no_class(folder, change, settings, words):
    change(folder)
    cfg = config(folder, held_out=dict(data_prefix='held', **(dict(ann_file='held.txt') if settings else {})))
    cfg.train_dataloader.dataset.dataset.update(settings)
    with pytest.raises(ConfigError, match=words):
        train_and_held_out(cfg)
