"""A folder with a folder of images for each class."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmcls.datasets import CustomDataset, ImageNet
from mmengine.fileio import join_path

from clim_mm.errors import DataError, some_of
from clim_mm.registry import DATASETS

from .listing import IMAGE_EXTENSIONS, list_images
from .tell_once import tell_once

_SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing', 'unlabeled'}


@DATASETS.register_module()
class ClassFolder(CustomDataset):
    """MMClassification's ``CustomDataset``, whose images and classes are those that all datasets here find.

    The images are those that :class:`ImageFolder` would take, too. Hidden folders and those of the system are no
    classes, and neither is a second link to a class.

    Args:
        extensions: Endings of the images' names.
        **kwargs: As for ``CustomDataset``; with an ``ann_file`` nothing is searched for.

    Attributes:
        left_out: What in the folder was passed over, in words; empty if nothing was.

    Raises:
        DataError: If ``classes`` or ``metainfo`` name another number of classes than there are folders.
    """

    left_out = ''

    def __init__(self, extensions: Sequence[str] = IMAGE_EXTENSIONS, **kwargs: Any) -> None:
        super().__init__(extensions=extensions, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find paths and labels: the places of the classes in the order of their names."""
        if self.ann_file:
            return super().load_data_list()
        folder = self.img_prefix
        listing = list_images(folder, tuple(self.extensions))
        images: dict[str, list[str]] = {name: [] for name in listing.folders}
        beside = 0
        for path in listing.images:
            name, is_below, _ = path.partition('/')
            if is_below:
                images[name].append(path)
            else:
                beside += 1
        found = sum(map(len, images.values()))
        if not found:
            raise RuntimeError(f'there is no folder of images for a class in it ({beside} images beside folders; left '
                               f'out: {listing.left_out or "nothing"})')
        self._name_classes(listing.folders)
        _tell_of_odd_classes(folder, listing.folders)
        empty = [name for name, paths in images.items() if not paths]
        parts = [listing.left_out, f'{beside} images beside the class folders' if beside else '',
                 f'folders without an image, which are classes nevertheless ({", ".join(empty)})' if empty else '']
        self.left_out = ', '.join(filter(None, parts))
        if self.left_out:
            tell_once(folder, f'{found} images in {folder}; left out: {self.left_out}.')
        return [dict(img_path=join_path(folder, path), gt_label=label)
                for label, name in enumerate(listing.folders) for path in images[name]]

    def _name_classes(self, folders: Sequence[str]) -> None:
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(folders)
        elif len(self.CLASSES) != len(folders):
            raise DataError(f'{self.img_prefix} has folders for {len(folders)} classes, and the config names '
                            f'{len(self.CLASSES)}: correct classes of the dataset, or the folders.')
        self.folder_to_idx = {name: label for label, name in enumerate(folders)}


def _tell_of_odd_classes(folder: str, names: Sequence[str]) -> None:
    if len(names) > 1 and _SPLITS.issuperset(map(str.lower, names)):
        tell_once(f'splits of {folder}', f'The classes of {folder} are {" and ".join(names)}: if these are no classes '
                  'but sets of images, give one of them, by data_prefix.')
    same = Counter(unicodedata.normalize('NFC', name).casefold() for name in names)
    twins = [ascii(name) for name in names if same[unicodedata.normalize('NFC', name).casefold()] > 1]
    if twins:
        tell_once(f'twins in {folder}', f'Classes of {folder} have one name, but for capitals or the encoding of '
                  f'letters ({some_of(twins, 4)}): if they are one class, put their images into one folder.')


def as_class_folder(cfg: Mapping) -> Mapping:
    """The config of a dataset of MMClassification's that searches class folders, as one of :class:`ClassFolder`.

    Any other comes back as it is.
    """
    kind = cfg.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if kind not in (CustomDataset, ImageNet) or cfg.get('ann_file'):
        return cfg
    return dict(cfg, type='clim_mm.ClassFolder', metainfo=dict(kind.METAINFO, **(cfg.get('metainfo') or {})))
