"""Data sets for detectors, generated in the real formats: VOCdevkit, COCO, LVIS v0.5 and v1.

Coloured rectangles, ellipses and triangles on noise; their boxes and outlines are exact. Run as a program it writes
them where the configs look for them: ``python tests/e2e/detection/detection_data.py FOLDER``, with
``FOLDER/VOCdevkit`` and so on.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as mask_utils

VOC_CLASSES = ('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'diningtable',
               'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')
SHAPES = ('rectangle', 'ellipse', 'triangle')
COLORS = ((220, 60, 50), (60, 200, 80), (70, 90, 230))  # of the shapes, in this order
PLACES = (0, 2, 16)  # of the shapes among the classes of COCO and LVIS
# COCO's categories are numbered from 1 to 90, without these.
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
COCO_IDS = [number for number in range(1, 91) if number not in COCO_GAPS]
LVIS_SITE = 'http://images.cocodataset.org/'


@dataclass(frozen=True)
class Shape:
    """An object: its number in ``SHAPES``, its box (left, top, right, bottom), its outline (x, y, x, y ...)."""

    kind: int
    box: tuple[float, float, float, float]
    outline: list[float]


@dataclass(frozen=True)
class Picture:
    """An image and what is on it."""

    pixels: np.ndarray  # (height, width, 3), uint8
    shapes: list[Shape]


def draw(number: int, seed: int = 0, size: tuple[int, int] = (96, 80), most: int = 3) -> list[Picture]:
    """Pictures of one to ``most`` shapes each, that do not overlap much.

    Args:
        number: Of pictures.
        seed: Of what is drawn.
        size: Width and height.
        most: Shapes on a picture.
    """
    rng = np.random.default_rng(seed)
    return [_picture(rng, size, 1 + index % most) for index in range(number)]


def _picture(rng: np.random.Generator, size: tuple[int, int], count: int) -> Picture:
    width, height = size
    image = Image.fromarray(rng.integers(90, 150, (height, width, 3)).astype(np.uint8))
    pen, shapes = ImageDraw.Draw(image), []
    for place in range(count):  # each in a column of its own
        w, h = (int(side) for side in rng.uniform((0.5, 0.3), (0.95, 0.7)) * (width / count, height))
        left, top = int(place * width / count), int(rng.integers(0, height - h - 1))
        kind = int(rng.integers(len(SHAPES)))
        box = (left, top, left + w, top + h)
        outline = _outline(kind, box)
        pen.polygon(outline, fill=COLORS[kind])
        shapes.append(Shape(kind, box, outline))
    return Picture(np.asarray(image), shapes)


def _outline(kind: int, box: tuple[int, int, int, int]) -> list[float]:
    left, top, right, bottom = box
    if SHAPES[kind] == 'rectangle':
        return [left, top, right, top, right, bottom, left, bottom]
    if SHAPES[kind] == 'triangle':
        return [(left + right) / 2, top, right, bottom, left, bottom]
    angles = np.arange(0, 2 * np.pi, np.pi / 12)
    x, y = (left + right + (right - left) * np.cos(angles)) / 2, (top + bottom + (bottom - top) * np.sin(angles)) / 2
    return [round(float(value), 2) for point in zip(x, y, strict=True) for value in point]


def write_voc(root: Path, year: int, sets: dict[str, Sequence[Picture]]) -> None:
    """Write ``root/VOC2007`` or ``VOC2012``. Every third object is difficult, and one file tells of a person's parts.

    Args:
        root: The folder VOCdevkit.
        year: 2007 or 2012.
        sets: Pictures by the names of image sets, such as ``trainval``.
    """
    base, number, objects = root / f'VOC{year}', 0, 0
    for folder in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, pictures in sets.items():
        ids = []
        for picture in pictures:
            number += 1
            ids.append(f'{number:06d}' if year == 2007 else f'2008_{number:06d}')
            Image.fromarray(picture.pixels).save(base / 'JPEGImages' / f'{ids[-1]}.jpg', quality=95)
            tree = ElementTree.Element('annotation')
            _texts(tree, dict(folder=f'VOC{year}', filename=f'{ids[-1]}.jpg'))
            height, width, depth = picture.pixels.shape
            _texts(ElementTree.SubElement(tree, 'size'), dict(width=width, height=height, depth=depth))
            _texts(tree, dict(segmented=0))
            for shape in picture.shapes:
                objects += 1
                _voc_object(tree, shape, difficult=objects % 3 == 0)
            ElementTree.ElementTree(tree).write(base / 'Annotations' / f'{ids[-1]}.xml')
        (base / 'ImageSets/Main' / f'{name}.txt').write_text('\n'.join(ids) + '\n')


def _voc_object(tree: ElementTree.Element, shape: Shape, difficult: bool) -> None:
    entry = ElementTree.SubElement(tree, 'object')
    _texts(entry, dict(name=voc_class(shape.kind), pose='Unspecified', truncated=0, difficult=int(difficult)))
    left, top, right, bottom = shape.box  # VOC counts pixels from 1
    _texts(ElementTree.SubElement(entry, 'bndbox'), dict(xmin=left + 1, ymin=top + 1, xmax=right + 1, ymax=bottom + 1))
    if voc_class(shape.kind) == 'person':
        part = ElementTree.SubElement(entry, 'part')
        _texts(part, dict(name='head'))
        _texts(ElementTree.SubElement(part, 'bndbox'), dict(xmin=left + 2, ymin=top + 2, xmax=right, ymax=top + 9))


def voc_class(kind: int) -> str:
    """A class of VOC for each kind of shape."""
    return ('person', 'car', 'dog')[kind]


def _texts(parent: ElementTree.Element, values: dict) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)


def write_coco(root: Path, sets: dict[str, Sequence[Picture]], classes: Sequence[str],
               ids: Sequence[int] = COCO_IDS, places: Sequence[int] = PLACES) -> None:
    """Write ``root/annotations/instances_SET.json`` and ``root/SET``.

    The first object of a picture has a polygon, the second a mask in RLE; the third is
    a crowd, with the uncompressed RLE that COCO has for it.

    Args:
        root: Folder of the data set.
        sets: Pictures by the names of sets, such as ``train2017``.
        classes: All of them.
        ids: Of the categories, as many or more.
        places: Of the shapes' classes among all.
    """
    for name, pictures in sets.items():
        images, annotations = [], []
        for number, picture in enumerate(pictures, start=1):
            file = f'{number:012d}.jpg'
            images.append(dict(_image(root / name / file, picture, number), file_name=file))
            for place, shape in enumerate(picture.shapes):
                entry = _annotation(len(annotations) + 1, number, ids[places[shape.kind]], shape)
                if place == 1:
                    entry['segmentation'] = _rle(shape, picture, compressed=True)
                annotations.append(dict(entry, iscrowd=0))
                if place == 2:
                    annotations[-1].update(iscrowd=1, segmentation=_rle(shape, picture, compressed=False))
        categories = [dict(id=ids[place], name=label, supercategory='thing') for place, label in enumerate(classes)]
        _dump(root / 'annotations' / f'instances_{name}.json', images, annotations, categories)


def write_lvis(root: Path, version: str, sets: dict[str, Sequence[Picture]], classes: Sequence[str]) -> None:
    """Write ``root/annotations/lvis_VERSION_train.json`` and ``..._val.json``, and the images below ``root``.

    v0.5 names the files of its images, some as COCO 2014 did; v1 has their addresses alone. Each image has one class
    that it was searched for in vain, and the first has one that may not be annotated everywhere.

    Args:
        root: The folder of the data set.
        version: ``v0.5`` or ``v1``.
        sets: Pictures by ``train`` and ``val``.
        classes: All, as many as the version has.
    """
    for name, pictures in sets.items():
        images, annotations = [], []
        for number, picture in enumerate(pictures, start=1):
            file = f'{number:012d}.jpg'
            entry = _image(root / f'{name}2017' / file, picture, number)
            entry.update(neg_category_ids=[5], not_exhaustive_category_ids=[1] if number == 1 else [],
                         coco_url=f'{LVIS_SITE}{name}2017/{file}')
            if version == 'v0.5':
                entry['file_name'] = f'COCO_{name}2014_{file}' if number % 2 else file
            images.append(entry)
            for shape in picture.shapes:
                annotations.append(_annotation(len(annotations) + 1, number, 1 + PLACES[shape.kind], shape))
        categories = []
        for place, label in enumerate(classes):
            holds = {a['image_id'] for a in annotations if a['category_id'] == place + 1}
            count = sum(a['category_id'] == place + 1 for a in annotations)
            categories.append(dict(id=place + 1, name=label, synset=f'{label}.n.01', synonyms=[label], frequency='rcf'[
                {0: 2, 2: 1, 16: 0}.get(place, place % 3)], image_count=len(holds), instance_count=count))
        categories[0]['def'] = 'the first'
        _dump(root / 'annotations' / f'lvis_{version}_{name}.json', images, annotations, categories)


def _image(path: Path, picture: Picture, number: int) -> dict:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.pixels).save(path, quality=95)
    height, width, _ = picture.pixels.shape
    return dict(id=number, width=width, height=height, license=1)


def _annotation(number: int, image: int, category: int, shape: Shape) -> dict:
    left, top, right, bottom = shape.box
    box = [left, top, right - left, bottom - top]
    x, y = np.array(shape.outline[::2]), np.array(shape.outline[1::2])
    area = 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
    return dict(id=number, image_id=image, category_id=category, bbox=box, area=area, segmentation=[shape.outline])


def _rle(shape: Shape, picture: Picture, compressed: bool) -> dict:
    height, width, _ = picture.pixels.shape
    (rle, ) = mask_utils.frPyObjects([shape.outline], height, width)
    if compressed:
        return dict(size=rle['size'], counts=rle['counts'].decode())
    flat = mask_utils.decode(rle).flatten(order='F')
    runs = [len(list(run)) for _, run in groupby(flat)]
    return dict(size=rle['size'], counts=[0, *runs] if flat[0] else runs)


def _dump(path: Path, images: list, annotations: list, categories: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(info=dict(description='generated'), licenses=[dict(id=1, name='none', url='')], images=images,
                   annotations=annotations, categories=categories)
    path.write_text(json.dumps(content))


def write_all(root: Path, train: int = 6, val: int = 3) -> None:
    """Write all four data sets below a folder: VOCdevkit, coco, lvis_v0.5, lvis_v1."""
    from mmdet.datasets import CocoDataset, LVISV05Dataset, LVISV1Dataset

    learn, test = draw(train, seed=0), draw(val, seed=1)
    write_voc(root / 'VOCdevkit', 2007, dict(trainval=learn, test=test))
    write_voc(root / 'VOCdevkit', 2012, dict(trainval=draw(train, seed=2)))
    write_coco(root / 'coco', dict(train2017=learn, val2017=test), CocoDataset.METAINFO['classes'])
    for version, dataset in (('v0.5', LVISV05Dataset), ('v1', LVISV1Dataset)):
        write_lvis(root / f'lvis_{version}', version, dict(train=learn, val=test), dataset.METAINFO['classes'])


if __name__ == '__main__':
    write_all(Path(sys.argv[1]))
