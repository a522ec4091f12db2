"""Annotations that are not what a config is for are refused in a sentence."""

import json

import pytest
from detection_data import VOC_CLASSES, draw, write_coco, write_lvis, write_voc

from clim_mm.errors import DataError
from clim_mm.transfer.annotations import check_coco, check_voc

CLASSES = [f'class {number}' for number in range(20)]


@pytest.fixture
def coco(tmp_path):
    write_coco(tmp_path, dict(val2017=draw(3)), CLASSES, range(1, 21))
    return tmp_path / 'annotations/instances_val2017.json', str(tmp_path / 'val2017')


@pytest.fixture(params=['v0.5', 'v1'])
def lvis(request, tmp_path):
    write_lvis(tmp_path, request.param, dict(val=draw(3)), CLASSES)
    images = str(tmp_path / 'val2017') if request.param == 'v0.5' else str(tmp_path)
    return tmp_path / f'annotations/lvis_{request.param}_val.json', images, request.param


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def refused(*args):
    with pytest.raises(DataError) as caught:
        check_coco(*args)
    return str(caught.value)


def test_sound_annotations(coco, lvis):
    check_coco(str(coco[0]), coco[1], CLASSES)
    path, images, version = lvis
    check_coco(str(path), images, CLASSES, version)


def test_the_other_version_of_lvis(lvis):
    path, images, version = lvis
    other = dict([('v0.5', 'v1'), ('v1', 'v0.5')])[version]
    message = refused(str(path), images, CLASSES, other)
    with_names, without = ('with', 'without') if version == 'v0.5' else ('without', 'with')
    assert f'is not LVIS {other} as published: it has 20 categories and images {with_names} file names' in message
    assert f'not 20 and images {without}: give the annotations of {other}' in message


def test_lvis_with_a_category_fewer(lvis):
    path, images, version = lvis
    change(path, lambda content: content['categories'].pop())
    assert 'it has 19 categories' in refused(str(path), images, CLASSES, version)


@pytest.mark.parametrize('key, value, words', [
    ('image_id', 99, 'has image_id=99, which is not among its 3 images'),
    ('category_id', 21, 'has category_id=21, which is not among its 20 categories')])
def test_annotations_of_what_is_not_there(coco, key, value, words):
    change(coco[0], lambda content: content['annotations'][1].update({key: value}))
    assert f'Annotation 2 of {coco[0]} {words}' in refused(str(coco[0]), coco[1], CLASSES)


def test_an_image_without_a_file(coco):
    change(coco[0], lambda content: content['images'][2].update(file_name='other.jpg'))
    message = refused(str(coco[0]), coco[1], CLASSES)
    assert f'1 of the 3 files that {coco[0]} names are not there (first {coco[1]}/other.jpg)' in message
    assert '3 of the 3 files' in refused(str(coco[0]), '/nowhere', CLASSES)


def test_a_class_that_the_annotations_lack(coco):
    message = refused(str(coco[0]), coco[1], [*CLASSES, 'zebra'])
    assert 'lacks 1 of the 21 classes of the config (zebra)' in message


@pytest.mark.parametrize('content', ['{"images": [', '[]', '{"images": [], "annotations": []}'])
def test_files_that_are_something_else(coco, content):
    coco[0].write_text(content)
    assert str(coco[0]) in refused(str(coco[0]), coco[1], CLASSES)


@pytest.fixture
def voc(tmp_path):
    write_voc(tmp_path, 2007, dict(test=draw(4)))
    return tmp_path / 'VOC2007'


def refused_voc(voc):
    with pytest.raises(DataError) as caught:
        check_voc(str(voc / 'ImageSets/Main/test.txt'), str(voc), VOC_CLASSES)
    return str(caught.value)


def test_voc(voc):
    check_voc(str(voc / 'ImageSets/Main/test.txt'), str(voc), VOC_CLASSES)


def test_voc_without_an_image(voc):
    (voc / 'JPEGImages/000002.jpg').unlink()
    assert '1 of the 8 files' in refused_voc(voc) and '000002.jpg' in refused_voc(voc)


def test_voc_without_an_xml(voc):
    (voc / 'Annotations/000003.xml').unlink()
    assert '1 of the 8 files' in refused_voc(voc) and '000003.xml' in refused_voc(voc)


def test_voc_with_a_class_that_is_none(voc):
    path = voc / 'Annotations/000001.xml'
    text = path.read_text()
    path.write_text(text.replace('<object><name>', '<object><name>sub'))
    assert f'{path} has an object of the class \'sub' in refused_voc(voc)


def test_voc_with_an_xml_that_is_none(voc):
    path = voc / 'Annotations/000001.xml'
    path.write_text(path.read_text().replace('</annotation>', ''))
    assert f'{path} cannot be read' in refused_voc(voc)


def test_voc_without_images(voc):
    (voc / 'ImageSets/Main/test.txt').write_text('\n')
    assert 'names no image' in refused_voc(voc)
