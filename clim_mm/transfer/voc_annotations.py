"""Annotations of PASCAL VOC: a list of images, and an XML file for each."""

import os
import os.path as osp
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from clim_mm.causes import machine_error
from clim_mm.errors import DataError, StorageError, on_one_line
from clim_mm.storage import patiently


def check_voc(path: str, year: str, classes: Sequence[str]) -> None:
    """Check a list of VOC's images and what belongs to them.

    Args:
        path: Of the list, such as ``VOC2007/ImageSets/Main/trainval.txt``.
        year: Folder with ``Annotations`` and ``JPEGImages``.
        classes: That objects may be of; MMDetection would leave out others without a word.

    Raises:
        DataError: If the list is empty, an image or its XML file is not there or cannot be read, or an object is of
            another class.
    """
    ids = patiently(partial(Path(path).read_text, errors='replace'), path).split()
    if not ids:
        raise DataError(f'{path} names no image: fetch the data set anew.')
    for folder, ending in (('JPEGImages', '.jpg'), ('Annotations', '.xml')):
        place = osp.join(year, folder)
        there = set(os.listdir(place)) if osp.isdir(place) else set()
        absent = [name for name in ids if f'{name}{ending}' not in there]
        if absent:
            raise DataError(f'{len(absent)} of the {len(ids)} images that {path} names have no file in {place} (first '
                            f'{absent[0]}{ending}): put them there, or set data_root.')
    known = set(classes)
    for name in ids:
        _check_objects(osp.join(year, 'Annotations', f'{name}.xml'), known)


def _check_objects(path: str, known: set[str]) -> None:
    try:
        objects = patiently(partial(ElementTree.parse, path), path).getroot().findall('object')
        names = [found.findtext('name', '') for found in objects]
        boxes = [[float(found.findtext(f'bndbox/{side}', '')) for side in ('xmin', 'ymin', 'xmax', 'ymax')]
                 for found in objects]
    except StorageError:
        raise
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise machine_error(error) or DataError(
            f'The annotations {path} cannot be read ({on_one_line(error)}): fetch them anew.') from error
    for name, (xmin, ymin, xmax, ymax) in zip(names, boxes, strict=True):
        if name not in known:
            raise DataError(f'{path} has an object of the class {name!r}, which is none of the {len(known)} of VOC: '
                            'correct it, or set metainfo and num_classes.')
        if not (xmin < xmax and ymin < ymax):
            raise DataError(f'{path} has a {name} without an area ({xmin:g}, {ymin:g}, {xmax:g}, {ymax:g}): correct '
                            'it.')
