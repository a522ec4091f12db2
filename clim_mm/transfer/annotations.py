"""Checks of a detector's annotations before anything is built: what MMDetection would leave out without a word."""

import json
import logging
import os
import os.path as osp
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, DefaultScope

from clim_mm.config_file import dicts_below
from clim_mm.errors import DataError, on_one_line, some_of
from clim_mm.storage import patiently

_LVIS = dict(LVISV05Dataset='v0.5', LVISV1Dataset='v1', LVISDataset='v0.5')


def check_annotations(cfg: Config, names: Sequence[str] = ('train', 'val', 'test')) -> None:
    """Check every data set of a detector's loaders, once each: its version, images, files, categories and classes."""
    datasets = {name: [dataset for _, dataset in dicts_below((cfg.get(f'{name}_dataloader') or {}).get('dataset'))
                       if dataset.get('ann_file')] for name in names}
    done = []
    for dataset in sum(datasets.values(), []):
        what = (dataset['type'], _path(dataset), dataset.get('data_prefix'))
        if what not in done:
            done.append(what)
            _check(dataset)
    trained, measured = ({osp.realpath(_path(dataset)) for name in names if (name == 'train') is wanted
                          for dataset in datasets[name]} for wanted in (True, False))
    if both := trained & measured:
        print_log(f'The detector is evaluated on images that it is trained on ({min(both)}): for others set the '
                  'ann_file of val_dataloader and test_dataloader.', logger='current', level=logging.WARNING)


def _path(dataset: Mapping) -> str:
    return osp.join(dataset.get('data_root') or '', dataset['ann_file'])


def _check(dataset: Mapping) -> None:
    kind = str(dataset['type']).rpartition('.')[2]
    classes = (dataset.get('metainfo') or {}).get('classes')
    if classes is None:
        with DefaultScope.overwrite_default_scope('mmdet'):
            classes = getattr(DATASETS.get(f'mmdet.{kind}'), 'METAINFO', {}).get('classes', ())
    path, root, prefix = _path(dataset), dataset.get('data_root') or '', dataset.get('data_prefix') or {}
    if not osp.isfile(path):
        raise DataError(f'There is no {path}: put the data set there or link it, as docs/detection.md shows, or set '
                        'data_root.')
    if kind == 'VOCDataset':
        check_voc(path, osp.join(root, prefix.get('sub_data_root', '')), classes)
    elif kind == 'CocoDataset' or kind in _LVIS:
        check_coco(path, osp.join(root, prefix.get('img', '')), classes, _LVIS.get(kind, ''))


def check_coco(path: str, images: str, classes: Sequence[str], lvis: str = '') -> None:
    """Check a file of annotations in COCO's format, or LVIS's with ``lvis`` as ``v0.5`` or ``v1``.

    The classes of a COCO file are found by their names, those of LVIS by their order.
    """
    lists = itemgetter('images', 'annotations', 'categories')
    listed, annotations, categories = _read(path, lambda text: lists(json.loads(text)))
    names = {category.get('id'): category.get('name') for category in categories}
    absent = [] if lvis else [name for name in classes if name not in names.values()]
    if absent:
        raise DataError(f'{path} lacks {len(absent)} of the {len(classes)} classes of the config ({some_of(absent, 3)}'
                        '), and MMDetection would number the others anew: give the full annotations, or set metainfo '
                        'and num_classes.')
    has_names = any('file_name' in image for image in listed)
    if lvis and (has_names is not (lvis == 'v0.5') or len(names) != len(classes)):
        raise DataError(f'{path} is not LVIS {lvis} as published: it has {len(names)} categories and images '
                        f'{"with" if has_names else "without"} file names, not {len(classes)} and images '
                        f'{"with" if lvis == "v0.5" else "without"}: give the annotations of {lvis}, or take the '
                        'config of the other version.')
    ids = {image.get('id') for image in listed}
    for annotation in annotations:
        for key, known, things in (('image_id', ids, 'images'), ('category_id', names, 'categories')):
            if annotation.get(key) not in known:
                raise DataError(f'Annotation {annotation.get("id")} of {path} has {key}={annotation.get(key)}, which '
                                f'is not among its {len(known)} {things}: give the annotations as published.')
    _check_files(path, [osp.join(images, _file_name(image, lvis)) for image in listed])


def check_voc(path: str, year: str, classes: Sequence[str]) -> None:
    """Check a list of VOC's images, and their files below the folder ``year``."""
    ids = _read(path, bytes.decode).split()
    if not ids:
        raise DataError(f'{path} names no image: fetch the data set anew.')
    annotations = [osp.join(year, 'Annotations', f'{name}.xml') for name in ids]
    _check_files(path, [*annotations, *(osp.join(year, 'JPEGImages', f'{name}.jpg') for name in ids)])
    for annotation in annotations:
        for found in _read(annotation, ElementTree.fromstring).iterfind('object/name'):
            if found.text not in classes:
                raise DataError(f'{annotation} has an object of the class {found.text!r}, which is none of the '
                                f'{len(classes)} of VOC: correct it, or set metainfo and num_classes.')


def _read(path: str, parse: Callable[[bytes], Any]) -> Any:
    content = patiently(Path(path).read_bytes, path)
    try:
        return parse(content)
    except (ValueError, LookupError, TypeError, ElementTree.ParseError) as error:
        raise DataError(f'The annotations {path} cannot be read ({on_one_line(error)}): fetch them anew.') from error


def _file_name(image: Mapping, lvis: str) -> str:
    """As MMDetection makes it: of LVIS v1 out of the address, of v0.5 without COCO 2014's prefix."""
    if lvis == 'v1':
        return str(image.get('coco_url', '')).replace('http://images.cocodataset.org/', '')
    name = str(image.get('file_name', ''))
    return name[-16:] if lvis and name.startswith('COCO') else name


def _check_files(path: str, files: Sequence[str]) -> None:
    """One look into each folder is enough for a hundred thousand files."""
    folders = {osp.dirname(file) for file in files}
    there = {folder: set(os.listdir(folder)) if osp.isdir(folder) else () for folder in folders}
    absent = [file for file in files if osp.basename(file) not in there[osp.dirname(file)]]
    if absent:
        raise DataError(f'{len(absent)} of the {len(files)} files that {path} names are not there (first {absent[0]}): '
                        'put them there, or set data_root and data_prefix.')
