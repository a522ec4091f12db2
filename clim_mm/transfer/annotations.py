"""Whether the annotations of a detector's data sets are what its config is for, before anything is built."""

import json
import logging
import os
import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, DefaultScope

from clim_mm.causes import machine_error
from clim_mm.errors import DataError, StorageError, on_one_line, some_of
from clim_mm.storage import patiently

from .voc_annotations import check_voc

_LISTS = ('images', 'annotations', 'categories')
_LVIS = dict(LVISV05Dataset='v0.5', LVISV1Dataset='v1', LVISDataset='v0.5')
_COCO_SITE = 'http://images.cocodataset.org/'


def check_annotations(cfg: Config, names: Sequence[str] = ('train', 'val', 'test')) -> None:
    """Check every data set that a config trains or evaluates on, once each.

    Args:
        cfg: Of a detector.
        names: Of the loaders and evaluators.

    Raises:
        DataError: If a file of annotations cannot be read, is of another version of its data set, or names images,
            categories or classes that are not there; or if an image has no file.
    """
    done = []
    loaders = [cfg.get(f'{name}_dataloader') or {} for name in names]
    for dataset in [found for loader in loaders for found in _datasets(loader.get('dataset'))]:
        what = tuple(str(dataset.get(name)) for name in ('type', 'data_root', 'ann_file', 'data_prefix'))
        if what not in done:
            done.append(what)
            _check(dataset)
    trained, measured = ({_place(dataset) for name in names if (name == 'train') is wanted
                          for dataset in _datasets((cfg.get(f'{name}_dataloader') or {}).get('dataset'))}
                         for wanted in (True, False))
    if both := trained & measured:
        print_log(f'The detector is evaluated on images that it is trained on ({min(both)}), so that its figures say '
                  'how well it learns them by heart: for others set the ann_file of val_dataloader and '
                  'test_dataloader.', logger='current', level=logging.WARNING)
    for place in _evaluators(cfg, names):
        if place.get('ann_file') and not osp.isfile(place['ann_file']):
            raise DataError(f'The evaluation\'s annotations {place["ann_file"]} do not exist: set ann_file of '
                            'val_evaluator and test_evaluator to that of the data set.')


def _datasets(dataset: Any) -> Iterator[Mapping]:
    """Those that have annotations, inside of whatever repeats, balances or joins them."""
    if isinstance(dataset, (list, tuple)):
        for part in dataset:
            yield from _datasets(part)
    elif isinstance(dataset, Mapping):
        inner = dataset.get('dataset') or dataset.get('datasets')
        if inner is not None:
            yield from _datasets(inner)
        elif dataset.get('ann_file'):
            yield dataset


def _place(dataset: Mapping) -> str:
    """The file of annotations, whatever links lead to it."""
    return osp.realpath(osp.join(dataset.get('data_root') or '', dataset['ann_file']))


def _evaluators(cfg: Config, names: Sequence[str]) -> Iterator[Mapping]:
    for name in names:
        value = cfg.get(f'{name}_evaluator') or []
        yield from [value] if isinstance(value, Mapping) else value


def _check(dataset: Mapping) -> None:
    kind = str(dataset['type']).rpartition('.')[2]
    classes = _classes(dataset)
    root = dataset.get('data_root') or ''
    path = osp.join(root, dataset['ann_file'])
    if not osp.isfile(path):
        raise DataError(f'There is no {path}: put the data set there or link it, as docs/detection.md shows, or set '
                        'data_root.')
    prefix = dataset.get('data_prefix') or {}
    if kind == 'VOCDataset':
        check_voc(path, osp.join(root, prefix.get('sub_data_root', '')), classes)
    elif kind == 'CocoDataset' or kind in _LVIS:
        check_coco(path, osp.join(root, prefix.get('img', '')), classes, _LVIS.get(kind, ''))


def _classes(dataset: Mapping) -> Sequence[str]:
    given = (dataset.get('metainfo') or {}).get('classes')
    if given is not None:
        return [given] if isinstance(given, str) else list(given)
    with DefaultScope.overwrite_default_scope('mmdet'):
        found: Any = DATASETS.get(f'mmdet.{str(dataset["type"]).rpartition(".")[2]}')
    return list(getattr(found, 'METAINFO', {}).get('classes', ()))


def check_coco(path: str, images: str, classes: Sequence[str], lvis: str = '') -> None:
    """Check a file of annotations in COCO's or LVIS's format.

    Args:
        path: The file.
        images: Folder of the images.
        classes: That the data set has; those of a COCO file are found by their names, those of LVIS by their order.
        lvis: ``v0.5`` or ``v1`` for LVIS, of which the file has to be; empty for COCO.

    Raises:
        DataError: As :func:`check_annotations`.
    """
    content = _read(path)
    if lvis:
        _check_version(path, content, classes, lvis)
    names = {category.get('id'): category.get('name') for category in content['categories']}
    absent = [] if lvis else [name for name in classes if name not in names.values()]
    if absent:
        raise DataError(f'{path} lacks {len(absent)} of the {len(classes)} classes of the config ({some_of(absent, 3)}'
                        '), and MMDetection would number the others anew: give the full annotations, or set metainfo '
                        'and num_classes.')
    ids = {image.get('id') for image in content['images']}
    for annotation in content['annotations']:
        for key, known, things in (('image_id', ids, 'images'), ('category_id', names, 'categories')):
            if annotation.get(key) not in known:
                raise DataError(f'Annotation {annotation.get("id")} of {path} has {key}={annotation.get(key)}, which '
                                f'is not among its {len(known)} {things}: give the annotations as published.')
    _check_files(path, images, [_file_name(image, lvis) for image in content['images']])


def _read(path: str) -> dict[str, Any]:
    try:
        content = json.loads(patiently(Path(path).read_text, path))
    except StorageError:
        raise
    except (OSError, ValueError) as error:
        raise machine_error(error) or DataError(
            f'The annotations {path} cannot be read ({on_one_line(error)}): fetch them anew.') from error
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in _LISTS):
        raise DataError(f'{path} has no lists of {", ".join(_LISTS)}: give a file of annotations in the format of '
                        'COCO.')
    return content


def _check_version(path: str, content: Mapping, classes: Sequence[str], lvis: str) -> None:
    """Tell the two versions of LVIS apart: v1 has no names of files, and other categories."""
    is_v1 = not any('file_name' in image for image in content['images'])
    if is_v1 != (lvis == 'v1'):
        found, other = ('v1', 'without') if is_v1 else ('v0.5', 'with')
        raise DataError(f'{path} is LVIS {found} ({len(content["categories"])} categories, images {other} file names), '
                        f'but the config is for {lvis}: give the annotations of {lvis}, or take the config that ends '
                        f'in lvis-{found}.')
    if len(content['categories']) != len(classes):
        raise DataError(f'{path} has {len(content["categories"])} categories, but LVIS {lvis} has {len(classes)}: give '
                        'the annotations as published.')
    for things, keys in (('categories', ('frequency', )),
                         ('images', ('neg_category_ids', 'not_exhaustive_category_ids'))):
        lacking = [key for key in keys if not all(key in thing for thing in content[things])]
        if lacking:
            raise DataError(f'Not all {things} of {path} have {lacking[0]}, which LVIS is evaluated by: give the '
                            'annotations as published, and not converted to COCO\'s.')


def _file_name(image: Mapping, lvis: str) -> str:
    """As MMDetection makes it: of LVIS v1 out of the address, of v0.5 without COCO 2014's prefix."""
    if lvis == 'v1':
        return str(image.get('coco_url', '')).replace(_COCO_SITE, '')
    name = str(image.get('file_name', ''))
    return name[-16:] if lvis and name.startswith('COCO') else name


def _check_files(path: str, images: str, names: Sequence[str]) -> None:
    """One look into each folder is enough for a hundred thousand files."""
    there: dict[str, set[str]] = {}
    absent = []
    for name in names:
        folder, file = osp.split(osp.join(images, name))
        if folder not in there:
            there[folder] = set(os.listdir(folder)) if osp.isdir(folder) else set()
        if file not in there[folder]:
            absent.append(osp.join(folder, file))
    if absent:
        raise DataError(f'{len(absent)} of the {len(names)} images that {path} names are not there (first {absent[0]}'
                        '): put them there, or set data_root and data_prefix.')
