"""Datasets that search a folder for images: without labels, with a folder a class, or those that a list names."""

import os.path as osp
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path

from clim_mm.errors import DataError, on_one_line, some_of
from clim_mm.host import CustomDataset, ImageNet
from clim_mm.registry import DATASETS

from .find_images import IMAGE_EXTENSIONS, find_images
from .image_list import lines_of
from .image_storage import warn_once

_SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing', 'unlabeled'}


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images below a folder, at any depth, in the order of their paths, without labels.

    Args:
        data_prefix: A folder below ``data_root``. Defaults to ``data_root`` itself.

    Attributes:
        left_out: What below the folder was passed over, in words; empty if nothing was.
    """

    left_out = ''

    def __init__(self, data_root: str, data_prefix: str = '', **kwargs) -> None:
        super().__init__(data_root=data_root, data_prefix=dict(img_path=data_prefix), **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images' paths."""
        folder = self.data_prefix['img_path']
        found = find_images(folder)
        self.left_out = found.left_out
        if not found.images:
            left_out = f' (left out: {self.left_out})' if self.left_out else ''
            raise ValueError(f'there is no file that ends in {", ".join(IMAGE_EXTENSIONS)}{left_out}.')
        if self.left_out:
            warn_once(folder, f'{len(found.images)} images in {folder}; left out: {self.left_out}.')
        return [dict(img_path=join_path(folder, path)) for path in found.images]


@DATASETS.register_module()
class ClassFolder(CustomDataset):
    """MMClassification's ``CustomDataset``, whose images and classes are those that all datasets here find.

    The images are those that :class:`ImageFolder` would take, too. Hidden folders and those of the system are no
    classes, and neither is a second link to a class.

    Attributes:
        left_out: What in the folder was passed over, in words; empty if nothing was.
    """

    left_out = ''

    def __init__(self, extensions: Sequence[str] = IMAGE_EXTENSIONS, **kwargs: Any) -> None:
        super().__init__(extensions=extensions, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find paths and labels: the places of the classes in the order of their names."""
        if self.ann_file:
            return super().load_data_list()
        folder = self.img_prefix
        found = find_images(folder, tuple(self.extensions))
        label_of = {name: label for label, name in enumerate(found.folders)}
        images = [dict(img_path=join_path(folder, path), gt_label=label_of[path.partition('/')[0]])
                  for path in found.images if '/' in path]
        beside = len(found.images) - len(images)
        if not images:
            raise RuntimeError(f'there is no folder of images for a class in it ({beside} images beside folders; left '
                               f'out: {found.left_out or "nothing"})')
        if self.CLASSES is not None and len(self.CLASSES) != len(label_of):
            raise DataError(f'{folder} has folders for {len(label_of)} classes, and the config names '
                            f'{len(self.CLASSES)}: correct classes of the dataset, or the folders.')
        self._metainfo['classes'] = self.CLASSES or tuple(label_of)
        self.folder_to_idx = label_of
        if len(label_of) > 1 and _SPLITS.issuperset(map(str.lower, label_of)):
            warn_once(f'splits of {folder}', f'The classes of {folder} are {" and ".join(label_of)}: if these are no '
                      'classes but sets of images, give one of them, by data_prefix.')
        full = {image['gt_label'] for image in images}
        empty = ', '.join(name for name, label in label_of.items() if label not in full)
        parts = [found.left_out, f'{beside} images beside the class folders' if beside else '',
                 f'folders without an image, which are classes nevertheless ({empty})' if empty else '']
        self.left_out = ', '.join(filter(None, parts))
        if self.left_out:
            warn_once(folder, f'{len(images)} images in {folder}; left out: {self.left_out}.')
        return sorted(images, key=lambda image: image['gt_label'])


def as_class_folder(cfg: Mapping) -> Mapping:
    """A config of MMClassification's datasets of class folders as one of :class:`ClassFolder`; any other as it is."""
    kind = cfg.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if kind not in (CustomDataset, ImageNet) or cfg.get('ann_file'):
        return cfg
    return dict(cfg, type='clim_mm.ClassFolder', metainfo=dict(kind.METAINFO, **(cfg.get('metainfo') or {})))


@DATASETS.register_module()
class LabelSplit(ClassFolder):
    """The images of a :class:`ClassFolder` that a list names: those whose labels a semi-supervised training may use.

    Args:
        split: Path of the list. Each line names an image by its path below the data folder, ``CLASS/IMAGE.JPEG``, or
            by its file name alone, as SimCLR's lists of ImageNet do.
    """

    def __init__(self, split: str, **kwargs: Any) -> None:
        self.split = split
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the images of all classes, and keep those of the list."""
        wanted = {line for _, line in lines_of(self.split)}
        if not wanted:
            raise DataError(f'The list of labelled images {self.split} is empty: make one by '
                            'tools/make_label_split.py.')
        try:
            images = super().load_data_list()
        except (RuntimeError, OSError) as error:
            raise DataError(f'The images in {self.img_prefix} have no labels for {self.split} to choose from '
                            f'({on_one_line(error).rstrip(".")}): give a folder with a folder of images for each '
                            'class.') from error
        by_path = any('/' in name for name in wanted)
        names = [osp.relpath(image['img_path'], self.img_prefix) if by_path else osp.basename(image['img_path'])
                 for image in images]
        known = Counter(names)
        wanted = {name if name in known else name.strip() for name in wanted}
        if shared := sorted(name for name in wanted if known[name] > 1):
            raise DataError(f'{len(shared)} of the {len(wanted)} names in {self.split} are those of several images in '
                            f'{self.img_prefix} ({some_of(shared, 3)}): write CLASS/IMAGE instead of the name alone, '
                            'as tools/make_label_split.py does.')
        if missing := sorted(wanted.difference(names)):
            raise DataError(f'{len(missing)} of the {len(wanted)} images that {self.split} names are not in '
                            f'{self.img_prefix} ({some_of(missing, 3)}): give the list that was made for this folder.')
        chosen = [image for name, image in zip(names, images, strict=True) if name in wanted]
        labels = {image['gt_label'] for image in images}.difference(image['gt_label'] for image in chosen)
        if labels:  # an empty folder is a class, too, of which nothing is wanted
            raise DataError(f'{self.split} names no image of {len(labels)} of the {len(self.CLASSES)} classes '
                            f'({some_of([self.CLASSES[label] for label in sorted(labels)], 3)}): give a list with '
                            'images of every class, such as tools/make_label_split.py writes.')
        return chosen
