"""Annotations that are not what a config is for are refused in a sentence."""

import json
import os.path as osp

import pytest
from detection_data import VOC_CLASSES, draw, write_coco, write_lvis, write_voc
from mmengine.config import Config

from clim_mm.errors import DataError
from clim_mm.transfer.detector_checks import check_annotations

CLASSES = [f'class {number}' for number in range(20)]
LVIS = {'v0.5': ('LVISV05Dataset', 'val2017/'), 'v1': ('LVISV1Dataset', '')}


def check(path, kind, images, classes=CLASSES, **prefix):
    """Check a data set that is not the first of its loader."""
    root = osp.dirname(osp.dirname(path))
    dataset = dict(type=kind, data_root=root, ann_file=osp.relpath(path, root), metainfo=dict(classes=classes),
                   data_prefix=prefix or dict(img=images), pipeline=[dict(type='PackDetInputs')])
    loader = dict(dataset=dict(type='ConcatDataset', datasets=[dict(type='ClassBalancedDataset', dataset=dataset)]))
    check_annotations(Config(dict(val_dataloader=loader, test_dataloader=dict(dataset=dict(ann_file='odd')))), 'val')


def refused(*args, **prefix):
    with pytest.raises(DataError) as caught:
        check(*args, **prefix)
    return str(caught.value)


@pytest.fixture
def coco(tmp_path):
    write_coco(tmp_path, dict(val2017=draw(3)), CLASSES, range(1, 21))
    return tmp_path / 'annotations/instances_val2017.json', 'CocoDataset', 'val2017/'


@pytest.fixture(params=LVIS)
def lvis(request, tmp_path):
    write_lvis(tmp_path, request.param, dict(val=draw(3)), CLASSES)
    return tmp_path / f'annotations/lvis_{request.param}_val.json', *LVIS[request.param]


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_sound_annotations(coco, lvis):
    check(*coco)
    check(*lvis)


def test_lvis_of_v1_in_place_of_v05(tmp_path):
    write_lvis(tmp_path, 'v1', dict(val=draw(3)), CLASSES)
    message = refused(tmp_path / 'annotations/lvis_v1_val.json', *LVIS['v0.5'])
    assert message.startswith('LVISV05Dataset cannot read the annotations ') and "KeyError: 'file_name'" in message


@pytest.mark.parametrize('classes', [19, 21])  # each version has a number of its own
def test_lvis_with_other_classes(lvis, classes):
    message = refused(*lvis, [f'class {number}' for number in range(classes)])
    assert f'has 20 categories for the {classes} classes of LVISV' in message
    assert 'give the full annotations of this version' in message


def test_a_class_that_the_annotations_lack(coco):
    assert 'has 20 categories for the 21 classes of CocoDataset:' in refused(*coco, [*CLASSES, 'zebra'])


def test_an_image_without_a_file(coco):
    change(coco[0], lambda content: content['images'][2].update(file_name='other.jpg'))
    message = refused(*coco)
    assert f'1 of the 3 images of {coco[0]} are not there (first {coco[0].parents[1]}/val2017/other.jpg)' in message
    assert '3 of the 3 images' in refused(*coco[:2], 'nowhere')


@pytest.mark.parametrize('content', ['{"images": [', '[]', '{"images": [], "annotations": []}'])
def test_files_that_are_something_else(coco, content):
    coco[0].write_text(content)
    assert f'CocoDataset cannot read the annotations {coco[0]} (' in refused(*coco)


@pytest.fixture
def voc(tmp_path):
    write_voc(tmp_path, 2007, dict(test=draw(4)))
    return tmp_path / 'VOC2007'


def voc_words(voc):
    return voc / 'ImageSets/test.txt', 'VOCDataset', '', VOC_CLASSES


def test_voc(voc):
    (voc / 'ImageSets/Main/test.txt').rename(voc / 'ImageSets/test.txt')
    check(*voc_words(voc), sub_data_root='')
    (voc / 'JPEGImages/000002.jpg').unlink()
    message = refused(*voc_words(voc), sub_data_root='')
    assert '1 of the 4 images' in message and '000002.jpg' in message
    (voc / 'Annotations/000003.xml').unlink()
    message = refused(*voc_words(voc), sub_data_root='')
    assert 'VOCDataset cannot read the annotations' in message and '000003.xml' in message
